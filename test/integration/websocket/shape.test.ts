import { Code, Failure, type Stream, StreamClient, type StreamError, StreamServer } from "browser-stream-server";
import { asWebSocket, type StreamCloseEvent, type StreamWebSocket, webSocketOf } from "browser-stream-server/websocket";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

let relay: TestRelay;
let server: StreamServer;
/** The next socket that the listener gets. */
let accepted: Promise<StreamWebSocket>;

beforeAll(async () => {
  relay = await openRelay();
});

afterAll(() => relay?.close());

async function listen(options: { maxMessageBytes?: number; protocol?: string } = {}): Promise<void> {
  const { protocol, ...endpoint } = options;
  await new Promise<void>((resolve) => {
    accepted = new Promise((accept) => {
      server = StreamServer(relay.origin, endpoint, (stream) => accept(asWebSocket(stream, { protocol }))).listen(
        "name",
      );
      server.ready.then(resolve);
    });
  });
}

afterEach(async () => {
  await server?.end();
  await holdsNothing(relay, "links");
});

const Socket = (name = "name") => webSocketOf(StreamClient(relay.origin), name);

/** Two sockets that are open. */
async function openPair(options?: Parameters<typeof listen>[0]): Promise<[StreamWebSocket, StreamWebSocket]> {
  await listen(options);
  const near = new (Socket())("ws://host/path?query=1", ["first", "second"]);
  await heard(near, "open");
  return [near, await accepted];
}

const heard = (socket: StreamWebSocket, type: string) =>
  new Promise<Event>((resolve) => socket.addEventListener(type, resolve, { once: true }));
const closed = (socket: StreamWebSocket) => heard(socket, "close") as Promise<StreamCloseEvent>;

/** The messages until the socket closes. */
async function untilClosed(socket: StreamWebSocket): Promise<{ messages: unknown[]; close: StreamCloseEvent }> {
  const messages: unknown[] = [];
  socket.addEventListener("message", (event) => messages.push((event as MessageEvent).data));
  return { messages, close: await closed(socket) };
}

describe("StreamWebSocket", () => {
  test("carries text and binary messages apart, in order, and copies bytes", async () => {
    const [near, far] = await openPair();
    far.binaryType = "arraybuffer";
    const received = untilClosed(far);
    const bytes = new Uint8Array(100).fill(1);
    near.send("text");
    near.send(new Blob(["blob"]));
    near.send(bytes.subarray(1, 100));
    near.send("");
    near.send(new ArrayBuffer(0));
    near.send("half of a pair: \ud800");
    expect(near.bufferedAmount).toBeGreaterThan(100);
    bytes.fill(2);
    near.close();
    expect(near.readyState).toBe(near.CLOSING);
    const { messages } = await received;
    const [text, blob, view, ...others] = messages as [string, ArrayBuffer, ArrayBuffer, ...unknown[]];
    expect([text, new TextDecoder().decode(blob)]).toEqual(["text", "blob"]);
    expect([view.byteLength, ...new Set(new Uint8Array(view))]).toEqual([99, 1]);
    expect(others).toEqual(["", new ArrayBuffer(0), "half of a pair: \ufffd"]);
  });

  test("gives binary messages as blobs unless it is told otherwise", async () => {
    const [near, far] = await openPair();
    const received = untilClosed(near);
    far.send(new Uint8Array([1, 2]));
    far.close();
    const [blob] = (await received).messages as [Blob];
    expect(await blob.bytes()).toEqual(new Uint8Array([1, 2]));
  });

  test("is open for a listener at once, and tells of it when the client knows", async () => {
    await listen();
    const near = new (Socket())("/");
    expect([near.readyState, near.protocol]).toEqual([near.CONNECTING, ""]);
    expect(() => near.send("too early")).toThrow(expect.objectContaining({ name: "InvalidStateError" }));
    const far = await accepted;
    expect(far.readyState).toBe(far.OPEN);
    const opened = [heard(near, "open"), heard(far, "open")];
    far.send("at once");
    expect(((await heard(near, "message")) as MessageEvent).data).toBe("at once");
    await Promise.all(opened);
    near.close();
    await closed(far);
  });

  test("has the URL, and the subprotocol that the client asked for first or the listener chose", async () => {
    const [near, far] = await openPair();
    expect([near.url, near.protocol]).toEqual(["ws://host/path?query=1", "first"]);
    expect([far.url, far.protocol]).toEqual(["/path?query=1", "first"]);
    expect(far.stream.metadata).toMatchObject({ protocol: "websocket", "sec-websocket-protocol": "first, second" });
    near.close();
    await closed(far);
    await server.end();
    const [other, chosen] = await openPair({ protocol: "second" });
    expect(chosen.protocol).toBe("second");
    other.close();
    await closed(chosen);
  });

  test.each(["near", "far"])("that is closed by the %s side with 1000 is closed so at both", async (which) => {
    const [near, far] = await openPair();
    const closes = [closed(near), closed(far)];
    (which === "near" ? near : far).close(1000, "done");
    for (const close of await Promise.all(closes)) {
      expect(close).toMatchObject({ code: 1000, wasClean: true, error: undefined });
    }
    expect([near.readyState, far.readyState]).toEqual([near.CLOSED, far.CLOSED]);
    near.send("too late");
  });

  test.each(["near", "far"])("that the %s side closes with a code of its own has sent all before it", async (which) => {
    const pair = await openPair();
    const [closing, other] = which === "near" ? pair : pair.toReversed();
    const ownClose = closed(closing!);
    const received = untilClosed(other!);
    // More than a window, so that most of it waits when the socket is closed.
    for (let at = 0; at < 64; at += 1) closing!.send(new Uint8Array(131_072));
    closing!.close(4401, "sign in: again");
    const { messages, close } = await received;
    expect(messages).toHaveLength(64);
    expect(close).toMatchObject({ code: 4401, reason: "sign in: again", wasClean: true });
    expect(close.error).toMatchObject({ code: Code.Aborted });
    expect(await ownClose).toMatchObject({ code: 4401, reason: "sign in: again", wasClean: true });
  });

  test("refuses codes and reasons that a WebSocket refuses", async () => {
    const [near, far] = await openPair();
    for (const code of [1001, 2999, 5000]) {
      expect(() => near.close(code)).toThrow(expect.objectContaining({ name: "InvalidAccessError" }));
    }
    expect(() => near.close(4000, "é".repeat(62))).toThrow(expect.objectContaining({ name: "SyntaxError" }));
    expect(() => new (Socket())("ws://host/#fragment")).toThrow(expect.objectContaining({ name: "SyntaxError" }));
    expect(() => new (Socket())("/", ["a", "a"])).toThrow(expect.objectContaining({ name: "SyntaxError" }));
    near.close();
    await closed(far);
  });

  test("tells in its events what failed where", async () => {
    await listen();
    const missing = new (Socket("missing"))("/");
    const failed = heard(missing, "error") as Promise<Event & { error: StreamError }>;
    const close = await closed(missing);
    expect((await failed).error.failure).toBe(Failure.NO_SUCH_NAME);
    expect(close).toMatchObject({ code: 1006, wasClean: false, error: (await failed).error });
    expect(close.reason).toBe(close.error?.message);
  });

  test.each([
    ["declines", (stream: Stream) => stream.reject(), 1008],
    ["destroys the stream", (stream: Stream) => asWebSocket(stream).on("open", () => stream.destroy()), 1006],
  ])("is closed with the nearest code when the listener %s", async (_, end, code) => {
    const failing = StreamServer(relay.origin, end).listen("failing");
    await failing.ready;
    expect(await closed(new (Socket("failing"))("/"))).toMatchObject({ code, wasClean: false });
    await failing.end();
  });

  test("closes with 1009 for a message that is larger than the peer takes", async () => {
    const [near, far] = await openPair({ maxMessageBytes: 1_000 });
    const closes = [closed(near), closed(far)];
    near.send(new Uint8Array(1_001));
    expect((await Promise.all(closes)).map(({ code }) => code)).toEqual([1009, 1009]);
  });

  test("calls a handler once for each event, and the last one that was set", async () => {
    const [near, far] = await openPair();
    const calls: unknown[] = [];
    near.onmessage = () => calls.push("replaced");
    near.addEventListener("message", () => calls.push("listener"));
    near.onmessage = ({ data }) => calls.push(data);
    far.send("one");
    await heard(near, "message");
    near.onmessage = null;
    expect(near.onmessage).toBeNull();
    far.send("two");
    await heard(near, "message");
    expect(calls).toEqual(["one", "listener", "listener"]);
    far.close();
    await closed(near);
  });

  test("serves programs that were written for the package ws", async () => {
    const [near, far] = await openPair();
    const calls: unknown[] = [];
    const listener = (data: unknown, isBinary: boolean) => calls.push([data, isBinary]);
    far.on("message", listener).once("pong", () => calls.push("pong"));
    far.on("close", (code, reason) => calls.push([code, String(reason)]));
    near.send("text");
    await heard(far, "message");
    near.send(new Uint8Array([1]));
    await heard(far, "message");
    far.off("message", listener);
    far.ping();
    await new Promise<void>((resolve) => far.send("taken", {}, () => resolve()));
    near.close(4000, "bye");
    await closed(far);
    const [error] = await new Promise<unknown[]>((resolve) =>
      far.send("too late", (...args: unknown[]) => resolve(args)),
    );
    expect(error).toBeInstanceOf(Error);
    expect(calls).toEqual([[Buffer.from("text"), false], [Buffer.from([1]), true], "pong", [4000, "bye"]]);
  });
});
