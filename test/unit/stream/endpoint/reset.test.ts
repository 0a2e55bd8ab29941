import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { Endpoint } from "../../../../stream/endpoint/endpoint.js";
import { errorOfReset, resetOf } from "../../../../stream/error/reset.js";
import { codeFromWire, cutReason, failureTable, StreamError } from "../../../../stream/error/stream-error.js";
import { dataFrame, exchange, frame, takeFrames } from "../../../fakes/frames.js";
import { thrown } from "../../../fakes/outcome.js";
import { errorOf } from "../../../fakes/violation.js";

const hello = { data: new TextEncoder().encode("hello"), text: true };

function pair(): [Endpoint, Endpoint] {
  return [new Endpoint({}, () => {}), new Endpoint({}, () => {})];
}

test("a reset reaches the other side with its code, its reason and its failure", () => {
  const [a, b] = pair();
  a.reset(new StreamError("enough", { code: Code.Aborted, failure: Failure.DECLINED }));
  expect(a.state.kind).toBe("resetting");
  exchange(a, b);
  expect(errorOf(b)).toMatchObject({
    code: Code.Aborted,
    message: "enough",
    failure: Failure.DECLINED,
    hop: Hop.PEER,
  });
  expect([a.state.kind, b.state.kind]).toEqual(["failed", "failed"]);
});

test("a reset overtakes what was written, and drops what was not read", () => {
  const [a, b] = pair();
  b.receive(dataFrame(1, hello));
  a.write(hello);
  b.write(hello);
  b.reset(new StreamError("enough"));
  expect(b.read()).toBeUndefined();
  const frames = takeFrames(b);
  expect(frames.map(({ messages, reset }) => [messages.length, reset !== undefined])).toEqual([[0, true]]);
  a.receive(frames[0] as never);
  expect(takeFrames(a)).toEqual([]);
});

test.each([
  ["a reset from the peer", (b: Endpoint) => b.receive(frame({ reset: { code: Code.Aborted } }))],
  ["a reset by this side", (b: Endpoint) => b.reset(new StreamError("enough"))],
  ["the loss of the way to the peer", (b: Endpoint) => b.fail(new StreamError("gone", { failure: Failure.LEG_LOST }))],
])("%s drops what arrived and was not read, also where the peer had finished", (_what, end) => {
  const [, b] = pair();
  b.receive(dataFrame(1, hello));
  b.receive(frame({ sequence: 2n, fin: true }));
  expect(b.drained).toBe(false);
  end(b);
  expect(b.read()).toBeUndefined();
  expect(b.drained).toBe(true);
});

test("nothing that comes after the end changes how it ended", () => {
  const [, b] = pair();
  b.receive(frame({ reset: { code: Code.Aborted } }));
  b.receive(frame({ reset: { code: Code.DataLoss } }));
  b.receive(dataFrame(7, hello));
  b.fail(new StreamError("too late", { code: Code.Internal }));
  b.reset(new StreamError("too late", { code: Code.Internal }));
  expect(errorOf(b).code).toBe(Code.Aborted);
  expect(b.state.kind).toBe("failed");
});

test("a leg that breaks before it took the reset does not change the reason", () => {
  const [a] = pair();
  a.reset(new StreamError("mine", { code: Code.Aborted }));
  a.fail(new StreamError("the leg's", { code: Code.Unavailable }));
  expect(a.state).toMatchObject({ kind: "failed", error: { code: Code.Aborted } });
  expect(a.takeFrame()).toBeUndefined();
});

test.each([0, 17, 4_294_967_295])("the code number %d, which is none, is read as unknown", (code) => {
  const [, b] = pair();
  b.receive(frame({ reset: { code } }));
  expect(errorOf(b).code).toBe(Code.Unknown);
});

test("the code numbers 1 to 16 are read as they are", () => {
  const codes = Array.from({ length: 16 }, (_, at) => at + 1);
  expect(codes.map(codeFromWire)).toEqual(codes);
});

test("a reason is cut at 1,024 bytes, between two characters", () => {
  const [a, b] = pair();
  a.reset(new StreamError(`a${"€".repeat(1_000)}`));
  exchange(a, b);
  expect(errorOf(b).message).toBe(`a${"€".repeat(341)}`);
  expect(cutReason("é".repeat(512))).toBe("é".repeat(512));
  expect(cutReason("é".repeat(513))).toBe("é".repeat(512));
});

test("a message larger than the other side takes is refused where it is written, and harms nothing", () => {
  const [a] = pair();
  a.setPeer({ credit: true, ack: true, resume: false, maxMessageBytes: 4 });
  expect(thrown(() => a.write(hello))).toMatchObject({
    failure: Failure.MESSAGE_TOO_LARGE,
    code: Code.ResourceExhausted,
    hop: Hop.CALLER,
  });
  a.write({ data: hello.data.subarray(0, 4), text: true });
  expect(a.state.kind).toBe("open");
  expect(takeFrames(a)).toHaveLength(1);
});

test("writing after finishing is refused; finishing again does nothing, however late", () => {
  const [a] = pair();
  a.finish();
  a.finish();
  expect(thrown(() => a.write(hello)).failure).toBe(Failure.PROTOCOL_VIOLATION);
  expect(takeFrames(a).filter(({ fin }) => fin)).toHaveLength(1);
  a.finish();
  expect(takeFrames(a)).toEqual([]);
  a.reset(new StreamError("enough"));
  a.finish();
  expect(a.state.kind).toBe("resetting");
});

test("writing without end, and without waiting, fails the stream at the limit", () => {
  const endpoint = new Endpoint({ maxBufferedBytes: 100_000 }, () => {});
  for (let at = 0; at < 10; at++) endpoint.write({ data: new Uint8Array(10_000 - 16), text: false });
  expect(endpoint.state.kind).toBe("open");
  expect(endpoint.write({ data: new Uint8Array(0), text: false })).toBe(false);
  expect(errorOf(endpoint)).toMatchObject({ failure: Failure.LIMIT_REACHED, hop: Hop.CALLER });
  expect(endpoint.bufferedBytes).toBe(0);
});

test("every failure has a code and a hop of its own", () => {
  const failures = Object.values(Failure).filter((value) => typeof value === "number");
  for (const failure of failures) {
    const [code, hop] = failureTable[failure];
    expect(new StreamError("", { failure })).toMatchObject({ code, hop });
    if (failure !== Failure.UNSPECIFIED) expect(hop).not.toBe(Hop.UNSPECIFIED);
  }
});

test("what is no StreamError becomes one, with the original as its cause", () => {
  const cause = new TypeError("odd");
  expect(StreamError.from(cause, Code.Internal)).toMatchObject({ code: Code.Internal, cause });
  const own = new StreamError("own");
  expect(StreamError.from(own)).toBe(own);
});

test("resetOf and errorOfReset cut a reason to 1,024 bytes", () => {
  const error = new StreamError("é".repeat(2_000), { code: Code.Aborted, failure: Failure.DECLINED });
  const reset = resetOf(error);
  expect(reset).toMatchObject({ code: Code.Aborted, failure: Failure.DECLINED, reason: "é".repeat(512) });
  expect(errorOfReset({ ...reset, reason: error.message }, Hop.PEER)).toMatchObject({
    code: Code.Aborted,
    failure: Failure.DECLINED,
    message: "é".repeat(512),
    hop: Hop.PEER,
  });
});
