import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ConnectResponseSchema } from "../../../../gen/streamserver/v1/relay_pb.js";
import { envelope } from "../../../../leg/envelope.js";
import { lengthTag, WireWriter } from "../../../../leg/wire-writer.js";
import { encodePackets } from "../../../../link/link-message.js";
import { type Codec, rawCodec } from "../../../../stream/codec.js";
import type { Stream } from "../../../../stream/stream.js";
import { openStream } from "../../../../web/api/stream-client.js";
import { createLinkTransport } from "../../../../web/transport/link-transport.js";
import { openWebSocketLink } from "../../../../web/transport/websocket-link.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { FakeSocket } from "../../../fakes/fake-socket.js";
import { packet } from "../../../fakes/links.js";
import { settled } from "../../../fakes/outcome.js";

type Response = NonNullable<MessageInitShape<typeof ConnectResponseSchema>["message"]>;

/** So much that a frame of three is worth freeing. */
const messageBytes = 30_000;

let clock: FakeClock;
let socket: FakeSocket;
let stream: Stream<unknown, never>;

beforeEach(() => {
  clock = new FakeClock();
  vi.stubGlobal("WebSocket", FakeSocket);
  vi.stubGlobal("navigator", { userAgentData: {} });
});
afterEach(async () => {
  stream.on("error", () => {}).destroy();
  clock.advance(60_000);
  await settled();
  vi.unstubAllGlobals();
});

const responses = (...messages: Response[]) =>
  new Uint8Array(
    Buffer.concat(
      messages.map((message) =>
        envelope(0, toBinary(ConnectResponseSchema, create(ConnectResponseSchema, { message }))),
      ),
    ),
  );
const data = (value: Uint8Array) => packet({ channel: 1, content: { case: "data", value } });
const message = (fill: number) => ({ data: new Uint8Array(messageBytes).fill(fill) });
const frame = (sequence: bigint, ...fills: number[]) =>
  responses({ case: "frame", value: { sequence, messages: fills.map(message) } });

async function openTestStream(codec: Codec<unknown, never> = rawCodec as never): Promise<void> {
  const link = createLinkTransport((signal) => openWebSocketLink("http://relay.example", clock, 1_000, signal), clock);
  stream = openStream({ name: "name", codec, transport: () => Promise.resolve(link), clock, onUnheard: () => {} });
  await settled();
  socket = FakeSocket.last;
  socket.open(1_000_000, 1_000_000);
  await settled();
  const headers = [{ name: "content-type", value: "application/connect+proto" }];
  socket.answer(
    packet({ channel: 1, content: { case: "response", value: { status: 200, headers } } }),
    data(
      responses(
        { case: "opened", value: { streamId: "id" } },
        { case: "accepted", value: { capabilities: { features: [1, 2] } } },
      ),
    ),
  );
  await settled();
}

/** What the network brings, in a buffer of its own. */
async function bring(...packets: Parameters<typeof encodePackets>[0]): Promise<ArrayBuffer> {
  const buffer = new Uint8Array(encodePackets(packets).joined).buffer;
  socket.onmessage({ data: buffer });
  await settled();
  return buffer;
}

const isFreed = (buffer: ArrayBuffer) => buffer.byteLength === 0;
const filled = (fill: number) => new Uint8Array(messageBytes).fill(fill);

test("what the network brought is freed with the last message that is read, and what was read stays", async () => {
  await openTestStream();
  const buffer = await bring(data(frame(1n, 1, 2, 3)));
  const messages = stream[Symbol.asyncIterator]();
  const read: unknown[] = [];
  for (const isLast of [false, false, true]) {
    expect(isFreed(buffer)).toBe(false);
    read.push((await messages.next()).value);
    expect(isFreed(buffer)).toBe(isLast);
  }
  expect(read).toEqual([1, 2, 3].map(filled));
});

test("messages that flow are whole, frame after frame", async () => {
  await openTestStream();
  const read: unknown[] = [];
  stream.on("data", (next) => read.push(next));
  const buffers = [await bring(data(frame(1n, 1, 2, 3))), await bring(data(frame(2n, 4, 5, 6)))];
  expect(buffers.map(isFreed)).toEqual([true, true]);
  expect(read).toEqual([1, 2, 3, 4, 5, 6].map(filled));
});

test("what is small is not freed", async () => {
  await openTestStream();
  const read: unknown[] = [];
  stream.on("data", (next) => read.push(next));
  expect(isFreed(await bring(data(frame(1n, 1, 2))))).toBe(false);
  expect(read).toEqual([1, 2].map(filled));
});

test("what more than one packet is in is not freed", async () => {
  await openTestStream();
  const read: unknown[] = [];
  stream.on("data", (next) => read.push(next));
  const credit = packet({ channel: 1, content: { case: "credit", value: 300_000n } });
  const buffers = [await bring(data(frame(1n, 1, 2, 3)), credit), await bring(credit, data(frame(2n, 4, 5, 6)))];
  expect(buffers.map(isFreed)).toEqual([false, false]);
  expect(read).toEqual([1, 2, 3, 4, 5, 6].map(filled));
});

test("what more than one frame is in, or a part of one, is not freed", async () => {
  await openTestStream();
  const read: unknown[] = [];
  stream.on("data", (next) => read.push(next));
  const two = Buffer.concat([frame(1n, 1, 2), frame(2n, 3)]);
  const next = frame(3n, 4, 5, 6);
  const cut = 70_000;
  const chunks = [new Uint8Array(two), next.subarray(0, cut), next.subarray(cut)];
  const buffers: ArrayBuffer[] = [];
  for (const chunk of chunks) buffers.push(await bring(data(chunk)));
  expect(buffers.map(isFreed)).toEqual([false, false, false]);
  expect(read).toEqual([1, 2, 3, 4, 5, 6].map(filled));
});

test("a message in parts is put together elsewhere, so that its parts are freed as they come", async () => {
  await openTestStream();
  const parts = [1, 2, 3].map((fill) => ({ ...message(fill), more: true }));
  const buffer = await bring(data(responses({ case: "frame", value: { sequence: 1n, messages: parts } })));
  expect(isFreed(buffer)).toBe(true);
  await bring(data(responses({ case: "frame", value: { sequence: 2n, messages: [message(4)] } })));
  const { value } = await stream[Symbol.asyncIterator]().next();
  expect(value).toEqual(new Uint8Array(Buffer.concat([1, 2, 3, 4].map(filled))));
});

test("where no browser keeps memory, none is freed", async () => {
  vi.stubGlobal("navigator", {});
  await openTestStream();
  const read: unknown[] = [];
  stream.on("data", (next) => read.push(next));
  expect(isFreed(await bring(data(frame(1n, 1, 2, 3))))).toBe(false);
  expect(read).toEqual([1, 2, 3].map(filled));
});

test("memory that cannot be freed does no harm", async () => {
  await openTestStream();
  const read: unknown[] = [];
  stream.on("data", (next) => read.push(next));
  const { joined } = encodePackets([data(frame(1n, 1, 2, 3))]);
  // Of this kind nothing can be transferred. The rest of it is a field that nobody knows.
  const { buffer } = new WebAssembly.Memory({ initial: 2 });
  const restBytes = buffer.byteLength - joined.byteLength - 4;
  const writer = new WireWriter(joined.byteLength + 4).raw(joined).varint(lengthTag(15)).varint(restBytes);
  new Uint8Array(buffer).set(writer.bytes);
  socket.onmessage({ data: buffer });
  await settled();
  await bring(data(frame(2n, 4)));
  expect(read).toEqual([1, 2, 3, 4].map(filled));
});

test("what a codec of the application's has seen is not freed", async () => {
  await openTestStream({ encode: () => ({ data: new Uint8Array(), text: false }), decode: ({ data }) => data });
  const read: unknown[] = [];
  stream.on("data", (next) => read.push(next));
  const buffer = await bring(data(frame(1n, 1, 2, 3)));
  expect(isFreed(buffer)).toBe(false);
  expect(read).toEqual([1, 2, 3].map(filled));
});
