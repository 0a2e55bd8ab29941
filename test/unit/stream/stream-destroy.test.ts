import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { rawCodec } from "../../../stream/codec.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { Stream } from "../../../stream/stream.js";
import { StreamLife } from "../../../stream/stream-life.js";
import { rejection, settled, thrown } from "../../fakes/outcome.js";
import { eventsOf, streamAndPeer, textMessage } from "../../fakes/streams.js";
import { errorOf } from "../../fakes/violation.js";

test("destroy without an error closes quietly here and cancels the other side", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  expect(stream.destroy()).toBe(stream);
  stream.destroy();
  await carry();
  expect(events).toEqual(["close"]);
  expect(await rejection(stream.closed)).toMatchObject({ failure: Failure.PEER_CANCELED, hop: Hop.CALLER });
  expect(errorOf(peer)).toMatchObject({ code: Code.Canceled, failure: Failure.PEER_CANCELED, hop: Hop.PEER });
});

test("destroy with an error tells both sides of it", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  const reason = new StreamError("enough", { code: Code.Aborted });
  stream.destroy(reason);
  await carry();
  expect(events).toEqual([["error", Code.Aborted], "close"]);
  expect(await rejection(stream.closed)).toBe(reason);
  expect(errorOf(peer)).toMatchObject({ code: Code.Aborted, message: "enough" });
});

test("destroy with an error of another kind is unknown to the other side, with its message", async () => {
  const { stream, peer, carry } = streamAndPeer();
  stream.destroy(new TypeError("odd"));
  await carry();
  expect(errorOf(peer)).toMatchObject({ code: Code.Unknown, message: "odd" });
});

test("destroy drops what was written and not sent, and what arrived and was not read", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  stream.pause();
  peer.write(textMessage("unread"));
  await carry();
  stream.write("unsent");
  stream.destroy();
  stream.resume();
  await carry();
  expect(events).toEqual(["close"]);
  expect(peer.read()).toBeUndefined();
  expect(stream.bufferedBytes).toBe(0);
});

test("writing to a stream that failed does nothing, and asks for no drain", async () => {
  const { stream } = streamAndPeer();
  stream.destroy();
  expect(stream.write("too late")).toBe(false);
  expect(stream.writableNeedDrain).toBe(false);
  stream.end("too late");
  await settled();
});

test("destroying a stream that closed changes nothing", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const events = eventsOf(stream);
  stream.end();
  peer.finish();
  await carry();
  stream.destroy(new StreamError("too late"));
  await settled();
  expect(events).toEqual(["finish", "end", "close"]);
  await expect(stream.closed).resolves.toBeUndefined();
});

test("writing after end throws", () => {
  const { stream } = streamAndPeer();
  stream.end();
  expect(thrown(() => stream.write("late")).failure).toBe(Failure.PROTOCOL_VIOLATION);
});

test("a stream that nobody watches fails without an unhandled rejection", async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", note);
  const { stream, life } = streamAndPeer();
  void [stream.opened, stream.closed, stream.readable, stream.writable];
  life.fail(new StreamError("gone", { code: Code.Unavailable }));
  await settled();
  await settled();
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

test("more written than may wait fails the stream", async () => {
  const { stream } = streamAndPeer({ maxBufferedBytes: 10_000 });
  const events = eventsOf(stream);
  stream.write("x".repeat(9_000));
  stream.write("x".repeat(9_000));
  await settled();
  expect(events).toEqual([["error", Code.ResourceExhausted], "close"]);
  expect((await rejection(stream.closed)).failure).toBe(Failure.LIMIT_REACHED);
});

function offer() {
  const decisions: unknown[] = [];
  const stream = new Stream(new StreamLife({}), {
    codec: rawCodec,
    metadata: { room: "7" },
    accept: () => decisions.push("accepted"),
    reject: ({ code, message, failure }) => decisions.push([code, message, failure]),
  });
  return { stream, decisions };
}

const uses: [string, (stream: Stream<unknown, string>) => unknown][] = [
  ["write", (stream) => stream.write("hello")],
  ["end", (stream) => stream.end()],
  ["listener to data", (stream) => stream.on("data", () => {})],
  ["resume", (stream) => stream.resume()],
  ["read from readable", (stream) => void stream.readable.getReader().read()],
  ["turn of for await", (stream) => void stream[Symbol.asyncIterator]().next()],
];

test.each(uses)("the first %s accepts an offer", async (_name, use) => {
  const { stream, decisions } = offer();
  use(stream);
  await settled();
  expect(decisions[0]).toBe("accepted");
});

test("looking at an offer does not accept it", async () => {
  const { stream, decisions } = offer();
  stream.on("close", () => {});
  stream.pause();
  void [stream.readable, stream.writable, stream.closed, stream.metadata];
  await settled();
  expect(decisions).toEqual([]);
  expect(stream.metadata).toEqual({ room: "7" });
});

test("an offer is rejected with a code and a reason, and a stream that is none is not", () => {
  const { stream, decisions } = offer();
  stream.reject(Code.Unauthenticated, "who are you?");
  expect(decisions).toEqual([[Code.Unauthenticated, "who are you?", Failure.DECLINED]]);
  expect(thrown(() => streamAndPeer().stream.reject()).code).toBe(Code.FailedPrecondition);
});
