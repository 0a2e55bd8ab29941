import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import {
  type ChannelRequest,
  ChannelRequestSchema,
  type Packet,
  PacketSchema,
} from "../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../link/channel/channel.js";
import { Link, type LinkOptions } from "../../link/link.js";
import { LinkWatch } from "../../link/link-watch.js";
import { packetMessage } from "../../link/packet/outgoing-packet.js";
import { RelayLink, type RelayLinkOptions } from "../../link/relay-link.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";

export const maxPacketBytes = 131_072;
const maxBatchBytes = 1_048_576;

export type OnRequest = RelayLinkOptions["onRequest"];

export function packet(init: MessageInitShape<typeof PacketSchema>): Packet {
  return create(PacketSchema, init);
}

export function request(path = "/test"): ChannelRequest {
  return create(ChannelRequestSchema, { path });
}

/** A client's end of a link, or the relay's if there is an `onRequest`. */
export function newLink({ onRequest, ...options }: Partial<RelayLinkOptions> = {}): Link {
  const linkOptions: LinkOptions = { maxChannels: 512, maxPacketBytes, ...options };
  return onRequest === undefined
    ? new Link(linkOptions)
    : new RelayLink({ ...linkOptions, onRequest, onUnproductive: () => undefined });
}

/** A watch that ends the link with FAILURE_LEG_LOST when its peer is silent. */
export function newWatch(link: Link, clock: Clock, heartbeatIntervalMs = 15_000): LinkWatch {
  const silence = () => new StreamError("silent", { failure: Failure.LEG_LOST });
  return new LinkWatch(link, clock, heartbeatIntervalMs, silence);
}

/** One end of a link, and what it says, in the test's hand. */
export function loneLink(options: Partial<RelayLinkOptions> = {}): { link: Link; said: Packet[] } {
  const link = newLink(options);
  const said: Packet[] = [];
  void (async () => {
    for await (const batch of packetBatches(link, maxBatchBytes)) said.push(...batch);
  })();
  return { link, said };
}

/** Yields the batches of packets that a link has to send, as its other side gets them. */
export async function* packetBatches(link: Link, maxBatchBytes: number): AsyncGenerator<Packet[], void, undefined> {
  const next = () => link.nextBatch(maxBatchBytes);
  for (let batch = await next(); batch !== undefined; batch = await next()) yield batch.map(packetMessage);
}

/** The relay's end of a link, with the channels that were opened on it. */
export function loneRelayLink(options: Partial<RelayLinkOptions> = {}) {
  const opened: Channel[] = [];
  return { ...loneLink({ onRequest: (channel) => void opened.push(channel), ...options }), opened };
}

/** Both ends of a link whose packets travel by themselves; `close` cuts it. */
export function joinedLinks(onRequest: OnRequest, options: Partial<LinkOptions> = {}): [Link, Link] {
  const client = newLink(options);
  const relay = newLink({ onRequest, ...options });
  void carryAll(client, relay);
  void carryAll(relay, client);
  return [client, relay];
}

async function carryAll(from: Link, to: Link): Promise<void> {
  for await (const batch of packetBatches(from, maxBatchBytes)) for (const next of batch) to.receive(next);
}

/** A body of `count` chunks. */
export async function* body(chunkBytes: number, count = 1): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < count; at++) yield new Uint8Array(chunkBytes).fill(at);
}

export async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return new Uint8Array(Buffer.concat(all));
}
