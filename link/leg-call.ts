import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  endStreamFlag,
  endStreamFromJson,
  requestHeader,
  validateResponse,
} from "@connectrpc/connect/protocol-connect";
import { type Frame, FrameSchema } from "../gen/streamserver/v1/frame_pb.js";
import {
  type AcceptResponse,
  AcceptResponseSchema,
  ConnectRequestSchema,
  type ConnectResponse,
  ConnectResponseSchema,
  type OpenSchema,
  RelayService,
} from "../gen/streamserver/v1/relay_pb.js";
import { divide } from "../stream/lent-memory.js";
import type { ChannelClient } from "./channel-client.js";
import { EnvelopeSplitter, envelope, envelopeHeadBytes } from "./envelope.js";
import { type FrameFields, frameEnvelope, frameFields } from "./leg-message.js";
import type { Parts } from "./parts.js";

/** What `ConnectRequest` and `AcceptRequest` have in common, which is everything. */
export interface LegRequest {
  message: { case: "open"; value: MessageInitShape<typeof OpenSchema> } | { case: "frame"; value: Frame };
}

/** What a leg has to know of `ConnectResponse` and `AcceptResponse`. */
export type LegResponse = Pick<ConnectResponse, "message"> | Pick<AcceptResponse, "message">;

/** The RPC of a leg. */
export type LegMethod = "connect" | "accept";

/** A frame, and what is around it; the relay sends no larger messages. */
export const maxMessageBytes = 1_048_576;

/**
 * Calls `Connect` or `Accept` on a channel, as Connect's own transport would and with the same bytes on the wire, but with each
 * frame copied once rather than nine times. Throws the `ConnectError` that the call ended with.
 */
export async function* callLeg(
  request: ChannelClient,
  method: LegMethod,
  requests: AsyncIterable<LegRequest>,
  signal: AbortSignal,
): AsyncGenerator<LegResponse, void, undefined> {
  const { name, methodKind } = RelayService.method[method];
  const response = await request({
    url: `http://link/${RelayService.typeName}/${name}`,
    method: "POST",
    header: requestHeader(methodKind, true, undefined, undefined, false),
    body: envelopes(requests),
    signal,
  });
  validateResponse(methodKind, true, response.status, response.header);
  const schema = method === "connect" ? ConnectResponseSchema : AcceptResponseSchema;
  const splitter = new EnvelopeSplitter(maxMessageBytes);
  for await (const chunk of response.body) {
    for (const { flags, data } of splitter.split(chunk)) {
      if (flags === 0) {
        const response = decode(schema, data);
        // Nothing else is in the chunk, if the envelope is; one that came in parts is a copy, and divides nothing.
        if (envelopeHeadBytes + data.byteLength === chunk.byteLength) divide(chunk, dataOf(response));
        yield response;
        continue;
      }
      if (flags !== endStreamFlag) throw new ConnectError(`an envelope with the flags ${flags}`, Code.Internal);
      const { error } = endStreamFromJson(data);
      if (error !== undefined) throw error;
      return;
    }
  }
  throw new ConnectError("the response broke off", Code.Unavailable);
}

function decode(schema: typeof ConnectResponseSchema | typeof AcceptResponseSchema, data: Uint8Array): LegResponse {
  const fields = frameFields(data);
  if (fields !== undefined) return { message: { case: "frame", value: frameOf(fields) } };
  try {
    return fromBinary<typeof ConnectResponseSchema | typeof AcceptResponseSchema>(schema, data);
  } catch (cause) {
    throw new ConnectError("bytes that are no message of a leg", Code.Internal, undefined, undefined, cause);
  }
}

function dataOf({ message }: LegResponse): Uint8Array[] {
  return message.case === "frame" ? message.value.messages.map(({ data }) => data) : [];
}

function frameOf({ sequence, ack, credit, messages, fin }: FrameFields): Frame {
  const numbers = { sequence: BigInt(sequence), ack: BigInt(ack), credit: BigInt(credit) };
  return create(FrameSchema, { ...numbers, messages, fin });
}

async function* envelopes(requests: AsyncIterable<LegRequest>): AsyncGenerator<Uint8Array | Parts> {
  for await (const { message } of requests) {
    if (message.case === "frame") yield frameEnvelope(message.value);
    else yield envelope(0, toBinary(ConnectRequestSchema, create(ConnectRequestSchema, { message })));
  }
}
