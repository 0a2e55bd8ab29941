import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { StreamError } from "../../stream/stream-error.js";
import { takeFrames } from "../fakes/frames.js";
import { rejection, settled } from "../fakes/outcome.js";
import { eventsOf, joinedStreams, streamAndPeer, textMessage } from "../fakes/streams.js";

test("a stream that both sides finish tells of each step once and in order", async () => {
  const { stream, leg, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  leg.accept(peer.capabilities);
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
  const { stream, leg, peer } = streamAndPeer();
  const events = eventsOf(stream);
  stream.end("on its way");
  const onItsWay = takeFrames(leg.endpoint);
  await settled();
  expect(events).toEqual([]);
  for (const frame of onItsWay) peer.receive(frame);
  for (const ack of takeFrames(peer)) leg.endpoint.receive(ack);
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

test("a failure comes after the data that arrived before it", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  peer.write(textMessage("one"));
  peer.write(textMessage("two"));
  await carry();
  stream.pause();
  peer.write(textMessage("three"));
  await carry();
  peer.reset(new StreamError("enough", { code: Code.Aborted }));
  await carry();
  expect(events).toEqual([
    ["data", "one"],
    ["data", "two"],
  ]);
  stream.resume();
  await settled();
  expect(events.slice(2)).toEqual([["data", "three"], ["error", Code.Aborted], "close"]);
});

test("a stream that fails tells of it once, and never says end", async () => {
  const { stream, leg } = streamAndPeer();
  const events = eventsOf(stream);
  leg.fail(new StreamError("gone", { code: Code.Unavailable }));
  leg.fail(new StreamError("gone again", { code: Code.Internal }));
  await settled();
  expect(events).toEqual([["error", Code.Unavailable], "close"]);
  expect((await rejection(stream.closed)).code).toBe(Code.Unavailable);
  expect((await rejection(stream.opened)).code).toBe(Code.Unavailable);
});

test("a call that ends before both sides finished is a lost leg", async () => {
  const { stream, leg } = streamAndPeer();
  leg.ended();
  expect((await rejection(stream.closed)).code).toBe(Code.Unavailable);
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
