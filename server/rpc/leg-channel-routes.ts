import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { contentTypeStreamProto, endStreamFlag, endStreamToJson } from "@connectrpc/connect/protocol-connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { type ChannelRequest, ChannelResponseSchema, type Header } from "../../gen/streamserver/v1/link_pb.js";
import {
  type ConnectRequest,
  ConnectRequestSchema,
  ConnectResponseSchema,
  RelayService,
} from "../../gen/streamserver/v1/relay_pb.js";
import type { Channel } from "../../link/channel.js";
import { EnvelopeSplitter, envelope } from "../../link/envelope.js";
import { fromConnectError, toConnectError } from "../../link/failure-detail.js";
import { headersToWire } from "../../link/header.js";
import { type FrameFields, frameFields } from "../../link/leg-message.js";
import type { Parts } from "../../link/parts.js";
import { StreamError } from "../../stream/stream-error.js";
import type { Relay } from "../relay/relay.js";
import { costOfMessages, envelopeOf } from "../relay/relayed-frame.js";
import { acceptedToWire, legOverheadBytes, openedToWire } from "./leg-routes.js";
import { type Attach, attachClient, attachListener, type LegRequest, type LegResponse, runLeg } from "./leg-run.js";

const attachOf: Readonly<Record<string, Attach>> = {
  [`/${RelayService.typeName}/${RelayService.method.connect.name}`]: attachClient,
  [`/${RelayService.typeName}/${RelayService.method.accept.name}`]: attachListener,
};

/** What asks for more than this file does: another format, a compression, a deadline. */
const plainHeaders = new Set(["content-type", "connect-protocol-version", "user-agent"]);

/**
 * Serves a channel that is a leg, in the Connect protocol as its handlers do, but passing each frame on as it came;
 * resolves when nothing runs any more. Undefined for a channel that is something else, or asks for something else: it
 * is left to them.
 */
export function serveLegChannel(
  relay: Relay,
  channel: Channel,
  request: ChannelRequest,
  origin: string,
): Promise<void> | undefined {
  const attach = attachOf[request.path];
  if (attach === undefined || !isPlain(request.headers)) return undefined;
  return serve(relay, channel, attach, origin);
}

function isPlain(headers: readonly Header[]): boolean {
  const types = headers.filter(({ name }) => name === "content-type").map(({ value }) => value);
  return types.join() === contentTypeStreamProto && headers.every(({ name }) => plainHeaders.has(name));
}

async function serve(relay: Relay, channel: Channel, attach: Attach, origin: string): Promise<void> {
  const { signal } = channel;
  const caller = { signal, isCanceled: () => fromConnectError(signal.reason).code === Code.Canceled, origin };
  const encode = (response: LegResponse) => responseEnvelope(relay, response);
  const responses = runLeg(relay, legRequests(relay, channel), caller, attach, encode);
  try {
    const headers = headersToWire(new Headers({ "content-type": contentTypeStreamProto }));
    channel.respond(create(ChannelResponseSchema, { status: 200, headers }));
    const error = await channel.send(responses).then(() => undefined, toConnectError);
    await channel.send([endEnvelope(error)]);
    channel.endResponse([]);
  } catch (reason) {
    channel.reset(fromConnectError(reason));
  }
}

function responseEnvelope(relay: Relay, response: LegResponse): Uint8Array | Parts {
  if (response.kind === "frame") return envelopeOf(response.frame);
  const message =
    response.kind === "opened"
      ? { case: "opened" as const, value: openedToWire(relay, response.attached) }
      : { case: "accepted" as const, value: acceptedToWire(response) };
  return envelope(0, toBinary(ConnectResponseSchema, create(ConnectResponseSchema, { message })));
}

function endEnvelope(error: ConnectError | undefined): Uint8Array {
  const end = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
  return envelope(endStreamFlag, new TextEncoder().encode(end));
}

function decodeRequest(data: Uint8Array): ConnectRequest {
  try {
    return fromBinary(ConnectRequestSchema, data);
  } catch (cause) {
    throw new StreamError("bytes that are no message of a leg", { failure: Failure.PROTOCOL_VIOLATION, cause });
  }
}

/** Many small messages take far less memory in their envelope than out of it. */
function envelopedFrame(envelope: Uint8Array, fields: FrameFields | undefined): LegRequest | undefined {
  if (fields === undefined) return undefined;
  const { messages, fin } = fields;
  return { message: { case: "frame", value: { costBytes: costOfMessages(messages), fin, envelope } } };
}

async function* legRequests(relay: Relay, channel: Channel): AsyncGenerator<LegRequest, void, undefined> {
  const splitter = new EnvelopeSplitter(relay.limits.maxFrameBytes + legOverheadBytes);
  for await (const chunk of channel.body()) {
    for (const { bytes, flags, data } of splitter.split(chunk)) {
      if (flags !== 0) {
        throw new StreamError(`an envelope with the flags ${flags}`, { failure: Failure.PROTOCOL_VIOLATION });
      }
      yield envelopedFrame(bytes, frameFields(data)) ?? decodeRequest(data);
    }
  }
  splitter.end();
}
