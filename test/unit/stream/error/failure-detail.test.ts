import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { callError, fromConnectError, relayAt, toConnectError } from "../../../../stream/error/failure-detail.js";
import { StreamError } from "../../../../stream/error/stream-error.js";

const url = "https://relay.example/browser-server";
const [first, second] = ["connect ECONNREFUSED 127.0.0.1:8080", "connect ECONNREFUSED ::1:8080"];
const bothAddresses = new AggregateError([new Error(first), new Error(second)]);

describe("fromConnectError", () => {
  test.each<[string, unknown, string]>([
    ["each address of an AggregateError", bothAddresses, `${first}, ${second}`],
    ["the cause of a message that says nothing", new TypeError("fetch failed", { cause: bothAddresses }), first],
    ["the code of an error without a message", Object.assign(new Error(""), { code: "ECONNRESET" }), "ECONNRESET"],
    ["something of an error without anything", new Error(""), "no reason"],
  ])("tells %s", (_, cause, said) => {
    expect(fromConnectError(ConnectError.from(cause)).message).toContain(said);
    const { message } = fromConnectError(new ConnectError("", Code.Unavailable, undefined, undefined, cause));
    expect(message).toContain(said);
    expect(message).not.toContain("[unavailable]");
  });
});

describe("toConnectError", () => {
  test.each([undefined, 1, Number.MAX_SAFE_INTEGER])("tells the received sequence %s, as it is read", (sequence) => {
    const error = new StreamError("gone", { failure: Failure.STREAM_GONE, receivedSequence: sequence });
    const read = fromConnectError(toConnectError(error));
    expect(read).toMatchObject({ message: "gone", code: error.code, failure: Failure.STREAM_GONE, hop: Hop.RELAY });
    expect(read.receivedSequence).toBe(sequence);
  });

  test.each([undefined, { name: "maxNames", value: 2_147_483_647, retryAfterMs: 1_000 }])(
    "tells the limit %o, as it is read",
    (limit) => {
      const error = new StreamError("full", { failure: Failure.LIMIT_REACHED, limit });
      const read = fromConnectError(toConnectError(error));
      expect([read.limit, "limit" in read]).toEqual([limit, limit !== undefined]);
      expect(read.withDelivery({ messages: 0, isFinal: true }).limit).toEqual(limit);
    },
  );

  test("says nothing of the account, which is each endpoint's own", () => {
    const error = new StreamError("gone").withDelivery({ messages: 1, isFinal: true });
    expect(fromConnectError(toConnectError(error)).delivery).toBeUndefined();
  });
});

describe("callError", () => {
  const unreachable = [
    Code.Canceled,
    Code.Unknown,
    Code.DeadlineExceeded,
    Code.Aborted,
    Code.Unimplemented,
    Code.Internal,
  ];

  test.each([...unreachable, Code.Unavailable])(
    "takes the code %i without a failure for a relay that is away",
    (code) => {
      for (const isAnswered of [false, true]) {
        const error = callError(new ConnectError("no route", code), relayAt(url), isAnswered);
        expect(error).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY, code: Code.Unavailable });
        expect(error.message).toContain(url);
        expect(error.message).toContain("no route");
      }
    },
  );

  test.each([Code.Unauthenticated, Code.PermissionDenied, Code.InvalidArgument])(
    "leaves the code %i as it is",
    (code) => {
      expect(callError(new ConnectError("no", code))).toMatchObject({ failure: Failure.UNSPECIFIED, code });
    },
  );

  test("leaves what the relay said as it is", () => {
    const said = new StreamError("gone", { failure: Failure.LEG_LOST, hop: Hop.PEER });
    expect(callError(toConnectError(said))).toMatchObject({
      failure: Failure.LEG_LOST,
      hop: Hop.PEER,
      message: "gone",
    });
    expect(callError(said)).toBe(said);
  });
});
