import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { StreamError } from "../../../stream/error/stream-error.js";
import { takeFrames } from "../../fakes/frames.js";
import { promiseState, rejection } from "../../fakes/outcome.js";
import { eventsOf, joinedStreams, streamAndPeer, textMessage } from "../../fakes/streams.js";
import { errorOf } from "../../fakes/violation.js";

test("a write resolves when there is room for another", async () => {
  const { stream, life, carry } = streamAndPeer({ highWaterMarkBytes: 1_000 });
  const writer = stream.writable.getWriter();
  await writer.write("small");
  const large = writer.write("x".repeat(2_000));
  expect(await promiseState(large)).toBe("pending");
  expect(life.endpoint.bufferedBytes).toBeGreaterThan(1_000);
  await carry();
  expect(await promiseState(large)).toBe("resolved");
});

test("closing resolves when the other endpoint has everything", async () => {
  const { stream, life, peer } = streamAndPeer();
  const writer = stream.writable.getWriter();
  await writer.write("last");
  const closed = writer.close();
  expect(await promiseState(closed)).toBe("pending");
  for (const frame of takeFrames(life.endpoint)) peer.receive(frame);
  expect(await promiseState(closed)).toBe("pending");
  for (const ack of takeFrames(peer)) life.endpoint.receive(ack);
  expect(await promiseState(closed)).toBe("resolved");
  expect(peer.read()).toMatchObject(textMessage("last"));
});

test("aborting ends the stream on both sides, with the reason", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  await stream.writable.abort(new StreamError("never mind", { code: Code.DataLoss }));
  await carry();
  expect(errorOf(peer).code).toBe(Code.DataLoss);
  expect(events).toEqual([["error", Code.DataLoss], "close"]);
});

test("a write that waits fails with the stream", async () => {
  const { stream, life } = streamAndPeer({ highWaterMarkBytes: 1_000 });
  const writer = stream.writable.getWriter();
  writer.closed.catch(() => {});
  const write = rejection(writer.write("x".repeat(2_000)));
  const next = rejection(writer.write("never sent"));
  life.fail(new StreamError("gone", { code: Code.Unavailable }));
  expect((await write).code).toBe(Code.Unavailable);
  expect((await next).code).toBe(Code.Unavailable);
});

test("closing fails with the stream", async () => {
  const { stream, life } = streamAndPeer();
  const closed = rejection(stream.writable.close());
  life.fail(new StreamError("gone", { code: Code.Unavailable }));
  expect((await closed).code).toBe(Code.Unavailable);
});

test("a stream that fails while nothing is written fails writable too", async () => {
  const { stream, life } = streamAndPeer();
  const writer = stream.writable.getWriter();
  const closed = rejection(writer.closed);
  life.fail(new StreamError("gone", { code: Code.Unavailable }));
  expect((await closed).code).toBe(Code.Unavailable);
});

test("writable of a stream that has failed already fails at once", async () => {
  const { stream, life } = streamAndPeer();
  life.fail(new StreamError("gone", { code: Code.Unavailable }));
  expect((await rejection(stream.writable.getWriter().closed)).code).toBe(Code.Unavailable);
});

test("pipeTo stops its source when the stream fails while nothing comes", async () => {
  const { stream, life } = streamAndPeer();
  let canceled: unknown;
  const source = new ReadableStream<string>({
    cancel(reason) {
      canceled = reason;
    },
  });
  const piped = rejection(source.pipeTo(stream.writable));
  life.fail(new StreamError("gone", { code: Code.Unavailable }));
  expect((await piped).code).toBe(Code.Unavailable);
  expect(canceled).toMatchObject({ code: Code.Unavailable });
});

test("readable pipes to writable, through whatever is in between, and ends it", async () => {
  const [a, b] = joinedStreams();
  const echo = b.readable.pipeTo(b.writable as WritableStream<string | Uint8Array>);
  for (const message of ["one", "two"]) a.write(message);
  a.end(Uint8Array.of(3));
  const heard: unknown[] = [];
  for await (const message of a) heard.push(message);
  await echo;
  await Promise.all([a.closed, b.closed]);
  expect(heard).toEqual(["one", "two", Uint8Array.of(3)]);
});
