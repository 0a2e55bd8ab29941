import { once } from "node:events";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { createWebSocketTransport, Failure, type Stream, StreamError, StreamServer } from "browser-stream-server";
import { LinkMessageSchema } from "browser-stream-server/gen";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { channelWindowBytes } from "../../../link/channel/channel-inbox.js";
import { Deferred } from "../../../stream/platform/deferred.js";
import { openBystander } from "../bystander.js";
import { connecting, credit, opening, RawLink, socketFrame } from "../raw-link.js";
import { holdsNothing, openRelay, type TestRelay, untilLinks } from "../relay-ports.js";
import { standstill } from "../until.js";

/**
 * A heartbeat that is long enough for a busy machine to answer in, and short enough for a test to wait two and a half
 * times as long.
 */
const heartbeatIntervalMs = 400;
const silentCode = 4000 + Code.Unavailable;
const mebibyte = 1_048_576;

let relay: TestRelay;
let bystander: Awaited<ReturnType<typeof openBystander>>;

afterEach(async () => {
  await bystander.expectUndisturbed();
  await holdsNothing(relay);
});

/** Listens, and writes to each client as fast as the stream takes it. */
async function openPourer() {
  const transport = createWebSocketTransport({ baseUrl: relay.url, idleTimeoutMs: 1 });
  const failed = new Deferred<StreamError>();
  const pourer = { writtenBytes: 0, failed: failed.promise, close: () => server.end() };
  const server = StreamServer(transport, (stream) => void pour(stream)).listen("pourer");
  const part = new Uint8Array(65_536);
  async function pour(stream: Stream): Promise<void> {
    const writer = stream.writable.getWriter();
    try {
      for (;;) {
        await writer.write(part);
        pourer.writtenBytes += part.byteLength;
      }
    } catch (reason) {
      failed.resolve(StreamError.from(reason));
    }
  }
  await server.ready;
  return pourer;
}

describe("at a relay with a quick heart", () => {
  beforeAll(async () => {
    relay = await openRelay({ limits: { heartbeatIntervalMs } });
  });

  beforeEach(async () => {
    bystander = await openBystander(relay);
  });

  afterAll(() => relay.close());

  const parts: [string, Uint8Array][] = [
    ["nothing", new Uint8Array()],
    ["a message without its end", socketFrame(2, new Uint8Array(10), { fin: false })],
    ["half a frame", socketFrame(2, new Uint8Array(100)).subarray(0, 50)],
    ["half a frame's head", socketFrame(2, new Uint8Array(300)).subarray(0, 3)],
  ];

  test.each(parts)("who says %s, and then nothing more, is let go", async (_, bytes) => {
    const raw = await RawLink.open(relay, { autoPong: false });
    raw.send(opening(1, "Watch"));
    raw.write(bytes);
    expect(await raw.closed).toBe(silentCode);
    expect(raw.resets).toContainEqual([0, Failure.LEG_LOST]);
  });

  test("who says a message so slowly that it takes longer than silence may is heard all the while", async () => {
    const raw = await RawLink.open(relay, { autoPong: false });
    const ping = toBinary(
      LinkMessageSchema,
      create(LinkMessageSchema, { packets: [{ content: { case: "ping", value: {} } }] }),
    );
    const frame = socketFrame(2, ping);
    for (const byte of frame) {
      await once(raw.socket, "ping");
      expect(raw.pongs).toBe(0);
      raw.write(new Uint8Array([byte]));
    }
    await raw.until(() => raw.pongs > 0);
    await raw.close();
  });

  test("who reads nothing is let go, and who writes to it is stopped before and told then", async () => {
    const pourer = await openPourer();
    const raw = await RawLink.open(relay);
    raw.send(...connecting(1, "pourer"), credit(1, 2n ** 50n));
    await raw.until(() => raw.receivedBytes > mebibyte);
    raw.connection.pause();
    const unread = () => pourer.writtenBytes - raw.receivedBytes;
    expect(await pourer.failed).toMatchObject({ failure: Failure.LEG_LOST });
    // Most of the data is in the kernel's buffers.
    expect(unread()).toBeLessThan(32 * mebibyte);
    await untilLinks(relay, 2);
    raw.socket.terminate();
    await raw.closed;
    await pourer.close();
  });
});

describe("at a relay", () => {
  beforeAll(async () => {
    relay = await openRelay();
  });

  beforeEach(async () => {
    bystander = await openBystander(relay);
  });

  afterAll(() => relay.close());

  test("who grants no credit gets the first of it, and whoever writes is stopped", async () => {
    const pourer = await openPourer();
    const raw = await RawLink.open(relay);
    raw.send(...connecting(1, "pourer"));
    await standstill(() => pourer.writtenBytes + raw.receivedBytes);
    expect(raw.receivedBytes).toBeGreaterThan(0);
    expect(raw.receivedBytes).toBeLessThanOrEqual(channelWindowBytes);
    expect(pourer.writtenBytes).toBeGreaterThan(0);
    expect(pourer.writtenBytes).toBeLessThan(4 * mebibyte);
    await raw.answered();
    const before = raw.receivedBytes;
    raw.send(credit(1, BigInt(4 * channelWindowBytes)));
    await raw.until(() => raw.receivedBytes >= 3 * channelWindowBytes);
    expect(raw.receivedBytes).toBeGreaterThan(before);
    await raw.close();
    expect(await pourer.failed).toMatchObject({ failure: Failure.LEG_LOST });
    await pourer.close();
  });

  test("who provokes resets and reads none is cut off", async () => {
    const raw = await RawLink.open(relay);
    raw.connection.pause();
    const count = 2_500;
    for (let sent = 0; relay.proxy.counts.links > 1; sent += count) {
      expect(sent).toBeLessThan(2_000_000);
      await new Promise<void>((resolve) => {
        // All but the channels that a link may have are reset.
        raw.send(...Array.from({ length: count }, (_, at) => opening(sent + at + 1, "Watch")));
        setTimeout(resolve, 1);
      });
    }
    raw.connection.resume();
    expect(await raw.closed).toBe(4000 + Code.ResourceExhausted);
    expect(raw.resets.at(-1)).toEqual([0, Failure.LIMIT_REACHED]);
  });

  test("who sends pings of WebSockets and reads no pong is cut off", async () => {
    const raw = await RawLink.open(relay);
    raw.connection.pause().on("error", () => {});
    const pings = Buffer.concat(Array.from({ length: 1_000 }, () => socketFrame(9, new Uint8Array(125))));
    for (let sent = 0; relay.proxy.counts.links > 1; sent += pings.byteLength) {
      expect(sent).toBeLessThan(64 * mebibyte);
      await new Promise<void>((resolve) => raw.connection.write(pings, () => resolve()));
    }
    raw.connection.resume();
    expect(await raw.closed).toBe(1006);
  });

  const ends: [string, (raw: RawLink) => void][] = [
    ["1000, a goodbye", ({ socket }) => socket.close(1000)],
    ["1001, as browsers say it by themselves", (raw) => raw.write(socketFrame(8, new Uint8Array([3, 0xe9])))],
    ["another code", ({ socket }) => socket.close(4001 + Code.Internal)],
    ["a broken connection", ({ socket }) => socket.terminate()],
    ["an ended connection", ({ connection }) => connection.end()],
    ["a broken rule", ({ socket }) => socket.send("text")],
    [
      "a goodbye on its channel",
      (raw) =>
        raw.send({ channel: 0, content: { case: "reset", value: { code: Code.Canceled, failure: Failure.LEG_LOST } } }),
    ],
  ];

  test.each(ends)("the other side of a stream hears that it is lost by %s", async (_, leave) => {
    const pourer = await openPourer();
    const raw = await RawLink.open(relay);
    raw.send(...connecting(1, "pourer"));
    // More than that the stream is opened.
    await raw.until(() => raw.receivedBytes > 65_536);
    leave(raw);
    expect(await pourer.failed).toMatchObject({ failure: Failure.LEG_LOST });
    await raw.closed;
    await pourer.close();
  });
});
