import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import type { Bytes } from "../../../stream/codec.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Stream } from "../../../stream/stream.js";
import { promiseState, rejection, settled } from "../../fakes/outcome.js";
import { eventsOf, streamAndPeer, textMessage } from "../../fakes/streams.js";
import { errorOf } from "../../fakes/violation.js";

type AnyStream = Stream<string | Uint8Array, string | Bytes>;

test("readable gives one message for each read, and ends when the other side has finished", async () => {
  const { stream, peer, carry } = streamAndPeer();
  peer.write(textMessage("one"));
  peer.write(textMessage("two"));
  await carry();
  const reader = stream.readable.getReader();
  expect(await reader.read()).toEqual({ done: false, value: "one" });
  const [second, last] = [reader.read(), reader.read()];
  expect(await second).toEqual({ done: false, value: "two" });
  expect(await promiseState(last)).toBe("pending");
  peer.finish();
  await carry();
  expect(await last).toEqual({ done: true, value: undefined });
});

test("readable takes nothing before it is asked", async () => {
  const { stream, life, peer, carry } = streamAndPeer();
  peer.write(textMessage("waits"));
  void stream.readable;
  await carry();
  expect(life.endpoint.read()).toMatchObject(textMessage("waits"));
});

test("Stream.readable fails with the stream, at once and without the messages that were not read", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const reader = stream.readable.getReader();
  peer.write(textMessage("one"));
  peer.write(textMessage("two"));
  await carry();
  expect(await reader.read()).toEqual({ done: false, value: "one" });
  peer.reset(new StreamError("enough", { code: Code.Aborted }));
  await carry();
  expect((await rejection(reader.closed)).code).toBe(Code.Aborted);
  expect((await rejection(reader.read())).code).toBe(Code.Aborted);
});

test("cancelling readable ends the stream on both sides, with the reason", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream, "all but data");
  await stream.readable.cancel(new StreamError("seen enough", { code: Code.OutOfRange }));
  await carry();
  expect(errorOf(peer).code).toBe(Code.OutOfRange);
  expect(events).toEqual([["error", Code.OutOfRange], "close"]);
});

test.each([
  ["leaving a loop", async (stream: AnyStream) => void (await stream[Symbol.asyncIterator]().return?.())],
  ["destroy with null", (stream: AnyStream) => stream.destroy(null)],
  ["destroy with an AbortError", (stream: AnyStream) => stream.destroy(AbortSignal.abort().reason)],
  ["cancelling readable with a text", (stream: AnyStream) => stream.readable.cancel("seen enough")],
  ["cancelling readable with an error", (stream: AnyStream) => stream.readable.cancel(new Error("seen enough"))],
  ["aborting writable", (stream: AnyStream) => stream.writable.abort()],
  ["aborting writable with an error", (stream: AnyStream) => stream.writable.abort(new Error("seen enough"))],
  [
    "aborting a pipeTo from it",
    (stream: AnyStream) =>
      stream.readable.pipeTo(new WritableStream(), { signal: AbortSignal.abort() }).catch(() => {}),
  ],
  [
    "aborting a pipeTo to it",
    (stream: AnyStream) =>
      new ReadableStream<string>().pipeTo(stream.writable, { signal: AbortSignal.abort() }).catch(() => {}),
  ],
])("%s is canceled for both sides", async (_how, cancel) => {
  const { stream, peer, carry } = streamAndPeer();
  await cancel(stream);
  await carry();
  const canceled = { code: Code.Canceled, failure: Failure.PEER_CANCELED };
  expect(errorOf(peer)).toMatchObject(canceled);
  expect(await rejection(stream.closed)).toMatchObject({ ...canceled, hop: Hop.CALLER });
});

test("cancelling readable without a reason is no error here", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream, "all but data");
  await stream.readable.cancel();
  await carry();
  expect(errorOf(peer).code).toBe(Code.Canceled);
  expect(events).toEqual(["close"]);
});

test("readable and writable are one and the same however often they are asked for", () => {
  const { stream } = streamAndPeer();
  expect(stream.readable).toBe(stream.readable);
  expect(stream.writable).toBe(stream.writable);
});

test("for await gives every message and ends with the other side", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const heard: unknown[] = [];
  const loop = (async () => {
    for await (const message of stream) heard.push(message);
  })();
  peer.write(textMessage("one"));
  await carry();
  peer.write(textMessage("two"));
  peer.finish();
  await carry();
  await loop;
  expect(heard).toEqual(["one", "two"]);
});

test("leaving for await early destroys the stream", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream, "all but data");
  peer.write(textMessage("one"));
  await carry();
  for await (const _message of stream) break;
  await carry();
  expect(errorOf(peer).code).toBe(Code.Canceled);
  expect(events).toEqual(["close"]);
});

test("for await throws what the stream failed with, without the messages that were not read", async () => {
  const { stream, peer, carry } = streamAndPeer();
  peer.write(textMessage("one"));
  peer.write(textMessage("two"));
  await carry();
  const heard: unknown[] = [];
  const loop = (async () => {
    for await (const message of stream) {
      heard.push(message);
      peer.reset(new StreamError("enough", { code: Code.Aborted }));
      await carry();
    }
  })();
  expect((await rejection(loop)).code).toBe(Code.Aborted);
  expect(heard).toEqual(["one"]);
});

test("a loop that waits is woken by destroy", async () => {
  const { stream } = streamAndPeer();
  const next = stream[Symbol.asyncIterator]().next();
  await settled();
  stream.destroy();
  expect((await rejection(next)).code).toBe(Code.Canceled);
});

test("whoever asks again after the end is told so again", async () => {
  const { stream, peer, carry } = streamAndPeer();
  peer.finish();
  await carry();
  const iterator = stream[Symbol.asyncIterator]();
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
});

test("reading by pulling tells of end once the reader has everything, and of close after it", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream, "all but data");
  const messages = stream[Symbol.asyncIterator]();
  const first = messages.next();
  for (const message of ["one", "two"]) peer.write(textMessage(message));
  peer.finish();
  stream.end();
  await carry();
  await stream.closed;
  events.push((await first).value);
  for await (const message of messages) {
    await settled();
    events.push(message);
  }
  await settled();
  expect(events).toEqual(["finish", "one", "two", "end", "close"]);
});

test("end waits until the reader asks for more than the last message, whatever happens meanwhile", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream, "all but data");
  peer.write(textMessage("last"));
  peer.finish();
  await carry();
  const messages = stream[Symbol.asyncIterator]();
  await messages.next();
  stream.end();
  await carry();
  expect(events).toEqual(["finish"]);
  await messages.next();
  await settled();
  expect(events).toEqual(["finish", "end", "close"]);
});

test("leaving for await early closes a stream that was finished but not read", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream, "all but data");
  const messages = stream[Symbol.asyncIterator]();
  void messages.next();
  for (const message of ["one", "two", "three"]) peer.write(textMessage(message));
  peer.finish();
  stream.end();
  await carry();
  expect(events).toEqual(["finish"]);
  for await (const _message of messages) break;
  await settled();
  expect(events).toEqual(["finish", "close"]);
  await expect(stream.closed).resolves.toBeUndefined();
});

test("whoever pulls slowly hears of a failure at once, as an event", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream, "all but data");
  for (const message of ["one", "two"]) peer.write(textMessage(message));
  await carry();
  await stream[Symbol.asyncIterator]().next();
  peer.reset(new StreamError("enough", { code: Code.Aborted }));
  await carry();
  expect(events).toEqual([["error", Code.Aborted], "close"]);
});

test("a second way to read is refused: for await and readable where data flows", async () => {
  const { stream } = streamAndPeer();
  stream.on("data", () => {});
  expect((await rejection(stream.readable.getReader().read())).code).toBe(Code.FailedPrecondition);
  expect((await rejection(stream[Symbol.asyncIterator]().next())).code).toBe(Code.FailedPrecondition);
  stream.pause();
  expect((await rejection(stream[Symbol.asyncIterator]().next())).code).toBe(Code.FailedPrecondition);
});

test("a second way to read is refused: data, pause and resume where somebody pulls", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const next = stream[Symbol.asyncIterator]().next();
  await settled();
  for (const second of [() => stream.on("data", () => {}), () => stream.pause(), () => stream.resume()]) {
    expect(second).toThrow(expect.objectContaining({ code: Code.FailedPrecondition }));
  }
  peer.write(textMessage("one"));
  await carry();
  expect(await next).toEqual({ done: false, value: "one" });
});
