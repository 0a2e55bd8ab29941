import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { LinkMessageSchema, type LinkOpened, LinkOpenedSchema } from "../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../link/channel/channel.js";
import { LinkSender } from "../../link/link-sender.js";
import { decodeLinkMessage, type IncomingMessage } from "../../link/packet/link-message.js";
import { PeerLink } from "../../link/peer-link.js";
import type { RelayLinkOptions } from "../../link/relay-link.js";
import type { Codec } from "../../stream/codec.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";
import { afterTask } from "../../stream/platform/task.js";
import { maxHttpHeadBytes } from "../message/head.js";
import { type LinkStream, streamPipe } from "./stream-pipe.js";

/** The metadata by which a client of HTTP tells a listener what it speaks. */
export const httpMetadata = { protocol: "http" };

/**
 * The largest packet of data, and the largest sum of data in one message. Most messages then fit into one frame of 64
 * KiB, so that no endpoint has to cut them and to join their parts.
 */
const maxPacketBytes = 61_440;
/**
 * A listener has to take so much in a packet. The 64 bytes that a packet counts for beside its data are 6% of that; one
 * that takes a byte has its callers send a packet for each.
 */
const minPacketBytes = 1_000;
/** The largest message of a link: a head of 64 KiB may stand beside a sum of data. */
const maxLinkMessageBytes = 262_144;
/** As on every link, a message has at most so many packets: one for each 64 bytes. */
const maxPackets = Math.floor(maxLinkMessageBytes / 64);
/** Calls of either end that a stream carries at once, unless the listener says otherwise. */
export const defaultMaxCalls = 100;
/** A listener that has accepted a stream has this long to send `LinkOpened`, as a relay has for its answers. */
const openTimeoutMs = 10_000;

/** Binary messages as they come. A message of text is undefined, because a link has none. */
export const linkCodec: Codec<Uint8Array | undefined, Uint8Array> = {
  encode: (bytes) => ({ data: bytes as Uint8Array<ArrayBuffer>, text: false }),
  decode: ({ data, text }) => (text ? undefined : data),
};

/** The options of a stream that carries a link. */
export const linkStreamOptions = { codec: linkCodec, maxMessageBytes: maxLinkMessageBytes };

export interface StreamLinkOptions {
  maxCalls: number;
  onRequest: RelayLinkOptions["onRequest"];
}

/** The listener's end of a link over a stream. It tells the client its limits. */
export function serveLink(stream: LinkStream, options: StreamLinkOptions): PeerLink {
  const { maxCalls: maxChannels } = options;
  const opened = create(LinkOpenedSchema, { maxChannels, maxPacketBytes, maxBatchBytes: maxPacketBytes });
  stream.write(toBinary(LinkMessageSchema, create(LinkMessageSchema, { opened })));
  const link = new PeerLink({
    ...options,
    maxChannels,
    maxPacketBytes,
    maxHeadBytes: maxHttpHeadBytes,
    numbers: "even",
  });
  stream.on("data", (bytes) => receive(stream, link, bytes));
  join(stream, link, maxPacketBytes);
  return link;
}

/**
 * The client's end of a link over a stream. Resolves when the listener has told its limits, before which nothing of a
 * call is sent. Rejects with why the stream failed, and with `unimplemented` of HOP_PEER if the listener speaks
 * something else, or nothing for 10 s after it has accepted.
 */
export function openLink(stream: LinkStream, name: string, clock: Clock): Promise<PeerLink> {
  const result = new Deferred<PeerLink>();
  let stopWaiting = () => {};
  let link: PeerLink | undefined;
  const refuse = () => {
    const error = noHttpError(name);
    result.reject(error);
    stream.destroy(error);
  };
  stream.opened.then(
    () => {
      // The limits may have come in the turn in which the listener accepted.
      if (link === undefined) stopWaiting = clock.after(openTimeoutMs, refuse, false);
    },
    () => {},
  );
  stream.on("data", (bytes) => {
    if (link !== undefined) return receive(stream, link, bytes);
    stopWaiting();
    const opened = (readMessage(bytes)?.opened ?? {}) as LinkOpened;
    const { maxChannels, maxPacketBytes: maxSentPacketBytes, maxBatchBytes } = opened;
    // Any of them may be missing.
    if (!(maxChannels > 0 && Math.min(maxSentPacketBytes, maxBatchBytes) >= minPacketBytes)) return refuse();
    link = new PeerLink({
      maxChannels,
      maxPacketBytes,
      maxSentPacketBytes,
      numbers: "odd",
      onRequest: refuseCall,
    });
    join(stream, link, maxBatchBytes);
    result.resolve(link);
  });
  stream.on("end", () => link ?? refuse());
  stream.on("error", (error) => result.reject(error));
  stream.on("close", () => {
    stopWaiting();
    result.reject(endedError());
  });
  return result.promise;
}

/** Connects the ends of a stream and its link: either ends with the other. */
function join(stream: LinkStream, link: PeerLink, maxBatchBytes: number): void {
  const onError = (reason: unknown) => link.close(StreamError.from(reason));
  // The head, the body and the end of a message come some microtasks apart, and each message of a stream costs more
  // than the rest of a call. So packets wait for others of their task.
  new LinkSender(link, streamPipe(stream), maxBatchBytes, onError, afterTask);
  // Calls fail with it, so nobody else has to hear of it.
  stream.on("error", (error) => link.close(error));
  stream.on("end", () => {
    link.close(endedError());
  });
  stream.on("close", () => link.close(endedError()));
  void link.closed.then((error) => {
    const isPolite = error.code === Code.Canceled || error.failure === Failure.LISTENER_GONE;
    if (isPolite) stream.end();
    else stream.destroy(error);
  });
}

/** Bytes that are no message of a link end the stream. */
function receive(stream: LinkStream, link: PeerLink, bytes: Uint8Array | undefined): void {
  const message = readMessage(bytes);
  if (message === undefined) {
    const error = new StreamError("a message that is none of a link", { failure: Failure.PROTOCOL_VIOLATION });
    return void stream.destroy(error);
  }
  for (const packet of message.packets) link.receive(packet);
}

/** A message of text is undefined, or a string where the stream has another codec: neither is one of a link. */
function readMessage(bytes: Uint8Array | string | undefined): IncomingMessage | undefined {
  try {
    return typeof bytes === "object" ? decodeLinkMessage(bytes, maxPackets) : undefined;
  } catch {
    return undefined;
  }
}

function refuseCall(channel: Channel): void {
  channel.reset(new StreamError("this end serves no HTTP", { code: Code.Unimplemented, hop: Hop.PEER }));
}

function endedError(): StreamError {
  return new StreamError("the stream has ended", { failure: Failure.LISTENER_GONE });
}

function noHttpError(name: string): StreamError {
  const message = `the listener of ${JSON.stringify(name)} is no HTTP server`;
  return new StreamError(message, { code: Code.Unimplemented, hop: Hop.PEER });
}
