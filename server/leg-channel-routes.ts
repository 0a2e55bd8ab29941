import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { contentTypeStreamProto, endStreamFlag, endStreamToJson } from "@connectrpc/connect/protocol-connect";
import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import { type ChannelRequest, ChannelResponseSchema } from "../gen/streamserver/v1/link_pb.js";
import { ConnectRequestSchema, ConnectResponseSchema, RelayService } from "../gen/streamserver/v1/relay_pb.js";
import { type Channel, headersToWire } from "../link/channel.js";
import { envelope, envelopesOf } from "../link/envelope.js";
import { fromConnectError, toConnectError } from "../link/failure-detail.js";
import { outlineOf } from "../link/leg-message.js";
import type { Parts } from "../link/parts.js";
import { StreamError } from "../stream/stream-error.js";
import { acceptedToWire, legOverheadBytes, openedToWire } from "./leg-routes.js";
import { type Attach, attachClient, attachListener, type LegRequest, runLeg } from "./leg-run.js";
import type { Relay } from "./relay.js";
import { envelopeOf } from "./relayed-frame.js";

const attachOf: Readonly<Record<string, Attach>> = {
  [`/${RelayService.typeName}/${RelayService.method.connect.name}`]: attachClient,
  [`/${RelayService.typeName}/${RelayService.method.accept.name}`]: attachListener,
};

/** What asks for more than this file does: another format, a compression, a deadline. */
const plainHeaders = new Set(["content-type", "connect-protocol-version", "user-agent"]);

/**
 * Serves a channel that is a leg, in the Connect protocol as its handlers do, but passing each frame on as it came. False for a
 * channel that is something else, or asks for something else: it is left to them.
 */
export function serveLegChannel(relay: Relay, channel: Channel, request: ChannelRequest, origin: string): boolean {
  const attach = attachOf[request.path];
  if (attach === undefined) return false;
  const isPlain = request.headers.every(
    ({ name, value }) => plainHeaders.has(name) && (name !== "content-type" || value === contentTypeStreamProto),
  );
  if (!isPlain) return false;
  void serve(relay, channel, attach, origin);
  return true;
}

async function serve(relay: Relay, channel: Channel, attach: Attach, origin: string): Promise<void> {
  const responses = legResponses(relay, channel, attach, origin);
  try {
    const headers = headersToWire(new Headers({ "content-type": contentTypeStreamProto }));
    channel.respond(create(ChannelResponseSchema, { status: 200, headers }));
    await channel.send(responses);
    channel.endResponse([]);
  } catch (reason) {
    channel.reset(fromConnectError(reason));
  } finally {
    // A generator that waits runs what it has to run at its end only when it is told so.
    responses.return().catch(() => {});
  }
}

async function* legResponses(
  relay: Relay,
  channel: Channel,
  attach: Attach,
  origin: string,
): AsyncGenerator<Uint8Array | Parts, void, undefined> {
  let error: ConnectError | undefined;
  try {
    const { signal } = channel;
    const isCanceled = () => fromConnectError(signal.reason).code === Code.Canceled;
    for await (const event of runLeg(relay, legRequests(relay, channel), { signal, isCanceled, origin }, attach)) {
      if (event.kind === "frame") {
        yield envelopeOf(event.frame);
        continue;
      }
      const message =
        event.kind === "opened"
          ? { case: "opened" as const, value: openedToWire(relay, event.attached) }
          : { case: "accepted" as const, value: acceptedToWire(event) };
      yield envelope(0, toBinary(ConnectResponseSchema, create(ConnectResponseSchema, { message })));
    }
  } catch (reason) {
    error = toConnectError(reason);
  }
  const end = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
  yield envelope(endStreamFlag, new TextEncoder().encode(end));
}

async function* legRequests(relay: Relay, channel: Channel): AsyncGenerator<LegRequest, void, undefined> {
  const maxDataBytes = relay.limits.maxFrameBytes + legOverheadBytes;
  for await (const { bytes, flags, data } of envelopesOf(channel.body(), maxDataBytes)) {
    if (flags !== 0) {
      throw new StreamError(`an envelope with the flags ${flags}`, { failure: Failure.PROTOCOL_VIOLATION });
    }
    const outline = outlineOf(data);
    if (outline === undefined) yield fromBinary(ConnectRequestSchema, data);
    else yield { message: { case: "frame", value: { ...outline, envelope: bytes } } };
  }
}
