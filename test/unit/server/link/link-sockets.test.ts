import { createServer } from "node:http";
import { type Duplex, duplexPair } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { ChannelResponseSchema, type Packet } from "../../../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../../../link/channel/channel.js";
import {
  decodeLinkMessage,
  encodePackets,
  type IncomingPacket,
  linkProtocol,
} from "../../../../link/packet/link-message.js";
import { lookIntervalMs, tightLookIntervalMs } from "../../../../server/admission/held-bytes.js";
import type { RelayLimits } from "../../../../server/admission/limits.js";
import { LinkSockets } from "../../../../server/link/link-sockets.js";
import { Links } from "../../../../server/link/links.js";
import { packet, request } from "../../../fakes/links.js";
import { settled } from "../../../fakes/outcome.js";
import { newRelay, someCaller } from "../../../fakes/relays.js";

const maxBatchBytes = 212_992;
const socketHighWaterMarkBytes = 262_144;
/** Bytes that a batch has beside its data. */
const overheadBytes = 1_024;
const ok = create(ChannelResponseSchema, { status: 200 });

/** A relay's WebSockets, which come over pipes in memory that take what their other end reads. */
function linkSockets(limits: Partial<RelayLimits> = {}) {
  const { relay, clock } = newRelay(limits);
  const channels: Channel[] = [];
  const serveChannel = (channel: Channel) => {
    channels.push(channel);
    return new Promise<void>(() => {});
  };
  const links = new Links({ ...relay, handlers: [], serveChannel });
  const sockets = new LinkSockets(links, relay);
  const server = createServer();
  server.on("upgrade", (incoming, connection, head) => sockets.upgrade(incoming, connection, head, someCaller));
  /** Opens a link with one channel, which has credit for all that it sends. */
  const open = async () => {
    const [clientEnd, relayEnd] = duplexPair();
    server.emit("connection", relayEnd);
    const socket = new WebSocket("ws://relay.example", linkProtocol, { createConnection: () => clientEnd as never });
    const messages: IncomingPacket[][] = [];
    const opened = new Promise<void>((resolve) => {
      socket.on("message", (data: Buffer) => {
        messages.push(decodeLinkMessage(data).packets);
        resolve();
      });
    });
    await opened;
    const say = (...packets: Packet[]) => socket.send(encodePackets(packets).joined);
    say(
      packet({ channel: 1, content: { case: "request", value: request() } }),
      packet({ channel: 1, content: { case: "credit", value: 2n ** 40n } }),
    );
    await expect.poll(() => channels.length).toBe(1);
    messages.length = 0;
    return { socket, messages, relayEnd: relayEnd as Duplex, channel: channels.pop() as Channel };
  };
  return { open, relay, clock };
}

const dataOf = (messages: IncomingPacket[][]) =>
  Buffer.concat(messages.flat().flatMap(({ content }) => (content.case === "data" ? [content.value] : [])));
const bytesOf = (messages: IncomingPacket[][]) => dataOf(messages).byteLength;

test("LinkSockets sends the packets of one turn in one message", async () => {
  const { open } = linkSockets();
  const { messages, channel } = await open();
  channel.respond(ok);
  for (let writes = 0; writes < 3; writes += 1) channel.write(new Uint8Array(1_000));
  channel.end();
  await expect.poll(() => messages.length).toBe(1);
  await settled();
  expect(messages.map((each) => each.map(({ content }) => content.case))).toEqual([
    ["response", "data", "data", "data", "end"],
  ]);
});

test("LinkSockets writes the messages of one turn together, when it is over", async () => {
  const { open } = linkSockets();
  const { messages, channel, relayEnd } = await open();
  const { _write } = relayEnd;
  let writes = 0;
  relayEnd._write = (...args) => {
    writes += 1;
    _write.apply(relayEnd, args);
  };
  channel.respond(ok);
  // The first message goes out in a microtask.
  for (let microtasks = 0; microtasks < 3; microtasks += 1) await Promise.resolve();
  channel.write(new Uint8Array(1_000));
  for (let microtasks = 0; microtasks < 3; microtasks += 1) await Promise.resolve();
  expect(writes).toBe(0);
  await expect.poll(() => messages.length).toBe(2);
});

test("LinkSockets gives a WebSocket that takes nothing two batches beyond 256 KiB at most, and all of it in the end", async () => {
  const { open } = linkSockets();
  const { socket, messages, relayEnd, channel } = await open();
  let drains = 0;
  channel.use({
    onData: () => {},
    onEnd: () => {},
    onDrain: () => {
      drains += 1;
    },
    onClosed: () => {},
  });
  socket.pause();
  const body = new Uint8Array(5_000_000).map((_, at) => at / 1_000);
  expect(channel.write(body)).toBe(false);
  await settled();
  expect(relayEnd.writableLength).toBeGreaterThan(socketHighWaterMarkBytes);
  expect(relayEnd.writableLength).toBeLessThan(socketHighWaterMarkBytes + 2 * (maxBatchBytes + overheadBytes));
  expect(drains).toBe(0);
  socket.resume();
  await expect.poll(() => bytesOf(messages)).toBe(body.byteLength);
  expect(drains).toBe(1);
  expect(Buffer.compare(dataOf(messages), body)).toBe(0);
});

test("a message that waits at one WebSocket of LinkSockets is not overwritten by one for another", async () => {
  const { open } = linkSockets();
  const slow = await open();
  const quick = await open();
  slow.socket.pause();
  const [first, second] = [new Uint8Array(100_000).fill(1), new Uint8Array(100_000).fill(2)];
  slow.channel.write(first);
  await settled();
  quick.channel.write(second);
  await expect.poll(() => bytesOf(quick.messages)).toBe(second.byteLength);
  slow.socket.resume();
  await expect.poll(() => bytesOf(slow.messages)).toBe(first.byteLength);
  expect(Buffer.compare(dataOf(slow.messages), first)).toBe(0);
  expect(Buffer.compare(dataOf(quick.messages), second)).toBe(0);
});

test("LinkSockets ends a link whose WebSocket breaks off while it waits, and its channels with it", async () => {
  const { open } = linkSockets();
  const { socket, relayEnd, channel } = await open();
  const closed = new Promise<unknown>((resolve) => {
    channel.use({ onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClosed: resolve });
  });
  socket.pause();
  channel.write(new Uint8Array(5_000_000));
  await settled();
  relayEnd.destroy();
  expect(await closed).toBeInstanceOf(Error);
  expect(channel.write(new Uint8Array(10))).toBe(true);
});

test("LinkSockets ends a link whose WebSocket takes nothing once that holds more than maxHeldBytes", async () => {
  const { open, relay, clock } = linkSockets({ maxHeldBytes: 400_000 });
  const { heldBytes } = relay.admission;
  const { socket, channel } = await open();
  const quick = await open();
  const closed = new Promise<unknown>((resolve) => {
    channel.use({ onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClosed: resolve });
  });
  socket.pause();
  channel.write(new Uint8Array(300_000));
  await settled();
  clock.advance(lookIntervalMs);
  expect(heldBytes.bytes).toBeGreaterThan(300_000);
  channel.write(new Uint8Array(300_000));
  await settled();
  clock.advance(tightLookIntervalMs);
  const limit = { name: "maxHeldBytes", value: 400_000 };
  expect(await closed).toMatchObject({ failure: Failure.LIMIT_REACHED, limit });
  await settled();
  expect(heldBytes.bytes).toBe(0);
  quick.channel.write(new Uint8Array(100));
  await expect.poll(() => bytesOf(quick.messages)).toBe(100);
  socket.resume();
});
