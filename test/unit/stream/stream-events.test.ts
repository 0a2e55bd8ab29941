import { Writable } from "node:stream";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import type { Bytes } from "../../../stream/codec.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Stream } from "../../../stream/stream.js";
import { dataFrame, frame, takeFrames } from "../../fakes/frames.js";
import { rejection, settled } from "../../fakes/outcome.js";
import { eventsOf, joinedStreams, type StreamAndPeer, streamAndPeer, textMessage } from "../../fakes/streams.js";

test("a stream that both sides finish tells of each step once and in order", async () => {
  const { stream, life, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  life.accept(peer.capabilities);
  peer.write(textMessage("one"));
  peer.write(textMessage("two"));
  await carry();
  stream.end("bye");
  await carry();
  peer.finish();
  await carry();
  expect(events).toEqual(["open", ["data", "one"], ["data", "two"], "finish", "end", "close"]);
  await expect(stream.opened).resolves.toBeUndefined();
  await expect(stream.closed).resolves.toBeUndefined();
});

test("end finishes one direction; the other goes on", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  stream.end();
  await carry();
  expect(peer.state).toMatchObject({ kind: "open", receiving: "finished" });
  peer.write(textMessage("still here"));
  await carry();
  expect(events).toEqual(["finish", ["data", "still here"]]);
});

test("the other side's end leaves this side free to write", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  peer.finish();
  await carry();
  stream.end("last word");
  await carry();
  expect(peer.read()).toMatchObject(textMessage("last word"));
  expect(events).toEqual(["end", "finish", "close"]);
});

test("finish waits until the other endpoint has everything", async () => {
  const { stream, life, peer } = streamAndPeer();
  const events = eventsOf(stream);
  stream.end("on its way");
  const onItsWay = takeFrames(life.endpoint);
  await settled();
  expect(events).toEqual([]);
  for (const frame of onItsWay) peer.receive(frame);
  for (const ack of takeFrames(peer)) life.endpoint.receive(ack);
  await settled();
  expect(events).toEqual(["finish"]);
});

test("write says false above the high-water mark, and drain says when to go on, once", async () => {
  const { stream, carry } = streamAndPeer({ highWaterMarkBytes: 1_000 });
  const events = eventsOf(stream);
  expect(stream.write("x".repeat(1_000 - 16))).toBe(true);
  expect(stream.writableNeedDrain).toBe(false);
  expect(stream.write("")).toBe(false);
  expect(stream.write("x")).toBe(false);
  expect(stream.writableNeedDrain).toBe(true);
  await carry();
  expect(events).toEqual(["drain"]);
  expect(stream.writableNeedDrain).toBe(false);
  expect(stream.bufferedBytes).toBe(0);
  stream.write("small");
  await carry();
  expect(events).toEqual(["drain"]);
});

test("what the other side does not read is held back, not lost", async () => {
  const { stream, peer, carry } = streamAndPeer({ windowBytes: 65_536, highWaterMarkBytes: 1_000 });
  let written = 0;
  for (; written < 200; written++) stream.write("x".repeat(1_000));
  await carry();
  expect(stream.bufferedBytes).toBeGreaterThan(130_000);
  let read = 0;
  for (let rounds = 0; rounds < 10; rounds++) {
    while (peer.read() !== undefined) read += 1;
    await carry();
  }
  expect(read).toBe(written);
});

test("Stream: a failure comes after the data that was read before it, and drops what was not", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  peer.write(textMessage("one"));
  await carry();
  stream.pause();
  peer.write(textMessage("two"));
  await carry();
  peer.reset(new StreamError("enough", { code: Code.Aborted }));
  await carry();
  expect(events).toEqual([["data", "one"], ["error", Code.Aborted], "close"]);
  stream.resume();
  await settled();
  expect(events).toHaveLength(3);
});

/** The ways in which a stream fails that the application has not ended itself. */
const failures: [string, (made: StreamAndPeer<string | Uint8Array, string | Bytes>) => Promise<void>][] = [
  [
    "a reset by the peer",
    async ({ peer, carry }) => {
      peer.reset(new StreamError("enough", { code: Code.Unavailable }));
      await carry();
    },
  ],
  ["the loss of its leg", async ({ life }) => life.fail(new StreamError("gone", { code: Code.Unavailable }))],
];

/** The ways in which an application may be reading when its stream fails. */
const readers: [string, (stream: Stream<string | Uint8Array, string | Bytes>) => unknown][] = [
  ["nobody reads", () => {}],
  ["it is paused", (stream) => stream.on("data", () => {}).pause()],
  ["a loop is busy", (stream) => stream[Symbol.asyncIterator]().next()],
  ["a reader of readable is busy", (stream) => stream.readable.getReader().read()],
  ["it is piped to what takes nothing", (stream) => stream.pipe(new Writable({ highWaterMark: 1, write() {} }))],
];

test.each(failures.flatMap(([how, fail]) => readers.map(([reader, read]) => ({ how, fail, reader, read }))))(
  "$how is told at once where $reader, with messages unread",
  async ({ fail, read }) => {
    const made = streamAndPeer();
    const events = eventsOf(made.stream, "all but data");
    void read(made.stream);
    for (const text of ["one", "two", "three"]) made.peer.write(textMessage(text));
    await made.carry();
    const closed = rejection(made.stream.closed);
    await fail(made);
    expect((await closed).code).toBe(Code.Unavailable);
    await settled();
    expect(events).toEqual([["error", Code.Unavailable], "close"]);
  },
);

test("Stream: a message that a reader waits for arrives, even when a reset follows in the same turn", async () => {
  for (const face of ["loop", "readable"]) {
    const { stream, life } = streamAndPeer();
    const next =
      face === "loop"
        ? stream[Symbol.asyncIterator]().next()
        : (stream.readable.getReader().read() as Promise<unknown>);
    await settled();
    life.endpoint.receive(dataFrame(1, textMessage("last words")));
    life.endpoint.receive(frame({ reset: { code: Code.Aborted } }));
    expect(await next).toEqual({ done: false, value: "last words" });
  }
});

test("Stream: a listener that throws keeps nobody from hearing what follows", async () => {
  const { stream, peer, life, carry } = streamAndPeer();
  const uncaught: unknown[] = [];
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", (reason) => uncaught.push(reason));
  const events: string[] = [];
  const throwing = (name: string) => () => {
    events.push(name);
    throw new Error(name);
  };
  stream.on("end", throwing("end")).on("error", throwing("error")).on("close", throwing("close"));
  stream.resume();
  peer.finish();
  await carry();
  life.fail(new StreamError("gone"));
  await settled();
  process.removeAllListeners("uncaughtException");
  for (const other of others) process.on("uncaughtException", other);
  expect(events).toEqual(["end", "error", "close"]);
  expect(uncaught.map((reason) => (reason as Error).message)).toEqual(events);
});

test("a stream that fails tells of it once, and never says end", async () => {
  const { stream, life } = streamAndPeer();
  const events = eventsOf(stream);
  life.fail(new StreamError("gone", { code: Code.Unavailable }));
  life.fail(new StreamError("gone again", { code: Code.Internal }));
  await settled();
  expect(events).toEqual([["error", Code.Unavailable], "close"]);
  expect((await rejection(stream.closed)).code).toBe(Code.Unavailable);
  expect((await rejection(stream.opened)).code).toBe(Code.Unavailable);
});

test("pause holds the messages back, resume lets them through", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  stream.pause();
  peer.write(textMessage("one"));
  peer.finish();
  await carry();
  expect(events).toEqual([]);
  stream.resume();
  await settled();
  expect(events).toEqual([["data", "one"], "end"]);
});

test("pausing in the middle of what waits stops there", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  stream.once("data", () => stream.pause());
  peer.write(textMessage("one"));
  peer.write(textMessage("two"));
  await carry();
  expect(events).toEqual([["data", "one"]]);
  stream.resume();
  await settled();
  expect(events).toEqual([
    ["data", "one"],
    ["data", "two"],
  ]);
});

test("messages that arrive before anybody listens wait", async () => {
  const { stream, peer, carry } = streamAndPeer();
  peer.write(textMessage("early"));
  await carry();
  const events = eventsOf(stream);
  await settled();
  expect(events).toEqual([["data", "early"]]);
});

test("a conversation that is over before anybody listens can still be read", async () => {
  const { stream, peer, carry } = streamAndPeer();
  peer.write(textMessage("early"));
  peer.finish();
  stream.end();
  await carry();
  await stream.closed;
  const events = eventsOf(stream);
  await settled();
  expect(events).toEqual([["data", "early"], "end"]);
});

test("a stream that nobody reads closes all the same", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream, "all but data");
  peer.write(textMessage("never read"));
  peer.finish();
  stream.end();
  await carry();
  expect(events).toEqual(["finish", "close"]);
});

test("once hears one message, and the stream flows on", async () => {
  const [a, b] = joinedStreams();
  const heard: unknown[] = [];
  b.once("data", (message) => heard.push(message));
  b.on("end", () => b.end());
  a.write("one");
  a.end("two");
  await a.closed;
  expect(heard).toEqual(["one"]);
});

test("what a listener throws is the listener's, and the next message still comes", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const heard: unknown[] = [];
  const uncaught: unknown[] = [];
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException").on("uncaughtException", (reason) => uncaught.push(reason));
  const failure = new Error("the listener's own");
  stream.on("data", (message) => {
    heard.push(message);
    if (message === "one") throw failure;
  });
  peer.write(textMessage("one"));
  peer.write(textMessage("two"));
  await carry();
  process.removeAllListeners("uncaughtException");
  for (const other of others) process.on("uncaughtException", other);
  expect(uncaught).toEqual([failure]);
  expect(heard).toEqual(["one", "two"]);
});
