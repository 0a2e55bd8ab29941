import { EventEmitter } from "node:events";
import { PassThrough, Readable, Writable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { bytesCodec } from "../../../stream/codec.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { rejection, settled } from "../../fakes/outcome.js";
import { eventsOf, joinedStreams, streamAndPeer, textMessage } from "../../fakes/streams.js";
import { errorOf } from "../../fakes/violation.js";

/** Takes a message when it is told to. */
function slowDestination() {
  const heard: string[] = [];
  let take = () => {};
  const destination = new Writable({
    highWaterMark: 1,
    write(chunk, _encoding, taken) {
      take = () => {
        heard.push(String(chunk));
        taken();
      };
    },
  });
  return { destination, heard, take: () => take() };
}

test("one stream pipes into another, and ends it", async () => {
  const [source, into] = joinedStreams();
  const [out, sink] = joinedStreams();
  const heard: unknown[] = [];
  sink.on("data", (message) => heard.push(message));
  into.pipe(out);
  source.write("one");
  source.end("two");
  sink.on("end", () => sink.end());
  await settled();
  into.end();
  await Promise.all([source.closed, into.closed, out.closed, sink.closed]);
  expect(heard).toEqual(["one", "two"]);
});

test("a pipe goes at the pace of its destination", async () => {
  const { stream, peer, carry } = streamAndPeer({ windowBytes: 65_536 });
  const slow = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, _taken) => {} });
  stream.pipe(slow);
  for (let at = 0; at < 100; at++) peer.write(textMessage("x".repeat(2_000)));
  await carry();
  await carry();
  expect(peer.bufferedBytes).toBeGreaterThan(200_000 - 2 * 65_536);
  expect(slow.listenerCount("drain")).toBe(1);
  slow.destroy();
  await carry();
  expect(errorOf(peer).code).toBe(Code.Canceled);
  expect(slow.listenerCount("drain")).toBe(0);
});

test("a pipe that was told to leaves its destination open, and nothing on it", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const destination = new PassThrough();
  const listeners = () => ["error", "close", "drain"].map((event) => destination.listenerCount(event));
  const before = listeners();
  stream.pipe(destination, { end: false });
  peer.write(textMessage("one"));
  peer.finish();
  await carry();
  expect(String(destination.read())).toBe("one");
  expect(destination.writableEnded).toBe(false);
  expect(listeners()).toEqual(before);
  destination.destroy();
});

test("a source that fails destroys the destination with its error", async () => {
  const { stream, life } = streamAndPeer();
  const destination = stream.pipe(new PassThrough());
  life.fail(new StreamError("gone", { code: Code.Unavailable }));
  await settled();
  expect(destination.errored).toMatchObject({ code: Code.Unavailable });
});

test("Stream.pipe: a source that fails destroys a destination that takes nothing, and leaves nothing on it", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const stuck = stream.pipe(new Writable({ highWaterMark: 1, write() {} }));
  peer.write(textMessage("one"));
  peer.write(textMessage("two"));
  await carry();
  expect(stuck.listenerCount("drain")).toBe(1);
  peer.reset(new StreamError("enough", { code: Code.Aborted }));
  await carry();
  expect(stuck.errored).toMatchObject({ code: Code.Aborted });
  expect(stuck.listenerCount("drain")).toBe(0);
});

test("Stream.pipe: a destination that has everything is left alone when its source fails afterwards", async () => {
  const { stream, peer, life, carry } = streamAndPeer();
  const destination = stream.pipe(new PassThrough(), { end: false });
  peer.finish();
  await carry();
  life.fail(new StreamError("gone"));
  await settled();
  expect(destination.destroyed).toBe(false);
  destination.destroy();
});

test("a destination that fails ends the source on both sides", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const destination = stream.pipe(new PassThrough());
  destination.destroy(new Error("disk full"));
  await carry();
  expect(errorOf(peer).code).toBe(Code.Canceled);
});

test("a destination that cannot take a message ends the source", async () => {
  const { stream, peer, carry } = streamAndPeer();
  class Refusing extends EventEmitter {
    destroyed: unknown;
    write(): never {
      throw new TypeError("not this");
    }
    end(): void {}
    destroy(reason: unknown): void {
      this.destroyed = reason;
    }
  }
  const destination = stream.pipe(new Refusing());
  peer.write(textMessage("one"));
  await carry();
  await carry();
  expect(errorOf(peer).code).toBe(Code.Canceled);
  expect(destination.destroyed).toBeInstanceOf(TypeError);
});

test("Node's pipe writes to a stream, waits for drain, and ends it", async () => {
  const [a, b] = joinedStreams({ highWaterMarkBytes: 10_000 }, bytesCodec);
  const chunks = Array.from({ length: 40 }, (_, at) => Buffer.alloc(5_000, at));
  Readable.from(chunks).pipe(a as unknown as NodeJS.WritableStream);
  const heard: Uint8Array[] = [];
  for await (const message of b) heard.push(message);
  expect(Buffer.concat(heard)).toEqual(Buffer.concat(chunks));
});

test("a stream is a source for Node's pipeline, to its last message, however slow the destination is", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const { destination, heard, take } = slowDestination();
  const done = pipeline(stream, destination);
  const messages = ["one", "two", "three"];
  for (const message of messages) peer.write(textMessage(message));
  peer.finish();
  stream.end();
  await carry();
  await stream.closed;
  for (const _message of messages) {
    take();
    await settled();
  }
  await done;
  expect(heard).toEqual(messages);
});

test("what fails in the middle of Node's pipeline ends the stream with its reason", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const destination = new PassThrough();
  const done = rejection(pipeline(stream, destination));
  await settled();
  destination.destroy(new Error("disk full"));
  await done;
  await carry();
  expect(errorOf(peer)).toMatchObject({ code: Code.Unknown, message: "disk full" });
});

test("a stream pipes into a Node stream that turns what comes into something else", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const heard: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, taken) {
      heard.push(String(chunk).toUpperCase());
      taken();
    },
  });
  stream.pipe(destination);
  peer.write(textMessage("one"));
  peer.finish();
  const done = finished(destination);
  await carry();
  await done;
  expect(heard).toEqual(["ONE"]);
});

test("a pipe is a reader like any other: a second one is refused", async () => {
  const { stream, life } = streamAndPeer();
  const events = eventsOf(stream);
  const destination = stream.pipe(new PassThrough());
  await settled();
  expect(destination.errored).toMatchObject({ code: Code.FailedPrecondition });
  expect(life.endpoint.state.kind).toBe("open");
  expect(events).toEqual([]);
});
