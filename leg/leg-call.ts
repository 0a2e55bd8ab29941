import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  createMethodUrl,
  type UniversalClientFn,
  type UniversalClientRequest,
  type UniversalClientResponse,
} from "@connectrpc/connect/protocol";
import { requestHeader, validateResponse } from "@connectrpc/connect/protocol-connect";
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
import { dataOf, envelope } from "./envelope.js";
import { frameEnvelope } from "./frame-envelope.js";
import { type FrameFields, readFrameFields } from "./frame-fields.js";
import type { Parts } from "./parts.js";
import { responseMessages } from "./response-messages.js";

/** A `ConnectRequest` or an `AcceptRequest`, which have the same fields. */
export interface LegRequest {
  message: { case: "open"; value: MessageInitShape<typeof OpenSchema> } | { case: "frame"; value: Frame };
}

/** The parts of `ConnectResponse` and `AcceptResponse` that a leg reads. */
export type LegResponse = Pick<ConnectResponse, "message"> | Pick<AcceptResponse, "message">;

/** The RPC of a leg. */
export type LegMethod = "connect" | "accept";

/** The largest message of the relay: a frame of at most 983,040 bytes, and 65,536 bytes for its fields. */
export const maxMessageBytes = 1_048_576;

/** Connect's interface of an HTTP client, with a body that may come in parts. */
export type PartsClient = (
  request: Omit<UniversalClientRequest, "body"> & { body?: AsyncIterable<Uint8Array | Parts> | undefined },
) => Promise<UniversalClientResponse>;

/**
 * An HTTP client that carries legs, and where the relay is for it. A client that takes parts copies them together
 * itself.
 */
export type LegClient = { baseUrl: string } & (
  | { takesParts: true; request: PartsClient }
  | { takesParts: false; request: UniversalClientFn }
);

/**
 * Calls `Connect` or `Accept`, as Connect's own transport would and with the same bytes on the wire, but copies each
 * frame once rather than nine times. `onHeader` is called with the head of the response. Rejects, and the messages
 * throw, with the `ConnectError` that the call ended with.
 */
export async function callLeg(
  { baseUrl, request, takesParts }: LegClient,
  method: LegMethod,
  requests: AsyncIterable<LegRequest>,
  signal: AbortSignal,
  onHeader: (header: Headers) => void = () => {},
): Promise<AsyncIterable<LegResponse>> {
  const descriptor = RelayService.method[method];
  const { methodKind } = descriptor;
  // A client that takes no parts is given none.
  const response = await (request as PartsClient)({
    url: createMethodUrl(baseUrl, descriptor),
    method: "POST",
    header: requestHeader(methodKind, true, undefined, undefined, false),
    body: envelopes(requests, takesParts),
    signal,
  });
  onHeader(response.header);
  validateResponse(methodKind, true, response.status, response.header);
  const schema = method === "connect" ? ConnectResponseSchema : AcceptResponseSchema;
  return responseMessages(response, maxMessageBytes, (received, chunk) => {
    const message = decode(schema, received);
    // Nothing else is in the chunk, if the envelope is; data that came in several chunks is a copy, and divides
    // nothing.
    if (received.byteLength === chunk.byteLength) divide(chunk, dataOfMessages(message));
    return message;
  });
}

function decode(schema: typeof ConnectResponseSchema | typeof AcceptResponseSchema, received: Parts): LegResponse {
  const fields = readFrameFields(received);
  if (fields !== undefined) return { message: { case: "frame", value: frameOf(fields) } };
  try {
    return fromBinary<typeof ConnectResponseSchema | typeof AcceptResponseSchema>(schema, dataOf(received));
  } catch (cause) {
    throw new ConnectError("bytes that are no message of a leg", Code.Internal, undefined, undefined, cause);
  }
}

function dataOfMessages({ message }: LegResponse): Uint8Array[] {
  return message.case === "frame" ? message.value.messages.map(({ data }) => data) : [];
}

function frameOf({ sequence, ack, credit, messages, fin }: FrameFields): Frame {
  const numbers = { sequence: BigInt(sequence), ack: BigInt(ack), credit: BigInt(credit) };
  return create(FrameSchema, { ...numbers, messages, fin });
}

async function* envelopes(
  requests: AsyncIterable<LegRequest>,
  takesParts: boolean,
): AsyncGenerator<Uint8Array | Parts, void, undefined> {
  for await (const { message } of requests) {
    if (message.case === "open") {
      yield envelope(0, toBinary(ConnectRequestSchema, create(ConnectRequestSchema, { message })));
      continue;
    }
    const parts = frameEnvelope(message.value);
    yield takesParts ? parts : parts.joined;
  }
}
