import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { fromConnectError } from "../../../../stream/error/failure-detail.js";
import { canceledError, isOwnCancel, messageOf, StreamError } from "../../../../stream/error/stream-error.js";

const refused = (address: string) =>
  Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: "ECONNREFUSED" });
/** Node's error for a host with two addresses where nobody listens. */
const nobodyThere = Object.assign(new AggregateError([refused("::1:80"), refused("127.0.0.1:80")]), {
  code: "ECONNREFUSED",
});
const circular = new Error("");
circular.cause = circular;

const reasons: [string, unknown, string][] = [
  ["an error", new TypeError("odd"), "odd"],
  ["an error of another realm", { message: "odd" }, "odd"],
  ["a text", "odd", "odd"],
  ["errors of several addresses", nobodyThere, "connect ECONNREFUSED ::1:80, connect ECONNREFUSED 127.0.0.1:80"],
  ["several errors without words", Object.assign(new AggregateError([new Error()]), { code: "EFAIL" }), "EFAIL"],
  ["no errors at all", Object.assign(new AggregateError([]), { code: "EFAIL" }), "EFAIL"],
  ["an error that only its cause explains", new Error(" ", { cause: new Error("", { cause: "odd" }) }), "odd"],
  ["an error that is its own cause", circular, "no reason given"],
  ["an error with nothing but a name", new RangeError(), "RangeError"],
  ["an error of Connect without words", new ConnectError("", Code.Internal, undefined, undefined, nobodyThere), ""],
  ["nothing", undefined, "no reason given"],
  ["an empty text", "", "no reason given"],
  ["an object", {}, "no reason given"],
];

describe("StreamError", () => {
  test.each(reasons)("has the words of %s", (_what, reason, words) => {
    const expected = words || messageOf(nobodyThere);
    expect(messageOf(reason)).toBe(expected);
    expect(StreamError.from(reason, Code.Internal)).toMatchObject({ message: expected, code: Code.Internal });
    expect(new StreamError("", { cause: reason }).message.trim()).not.toBe("");
    expect(fromConnectError(reason).message.trim()).not.toBe("");
  });

  test("without a message has its cause's, or the name of its failure or its code", () => {
    expect(new StreamError("", { failure: Failure.LEG_LOST, cause: nobodyThere }).message).toBe(messageOf(nobodyThere));
    expect(new StreamError(" ", { failure: Failure.LEG_LOST }).message).toBe("LEG_LOST");
    expect(new StreamError("", { code: Code.Aborted }).message).toBe("Aborted");
    expect(new StreamError("", { failure: 99 as Failure }).message).not.toBe("");
  });

  test("of a side that gives up is canceled, and a StreamError that it is given stays as it is", () => {
    const canceled = { code: Code.Canceled, failure: Failure.PEER_CANCELED, hop: Hop.CALLER };
    expect(canceledError()).toMatchObject(canceled);
    expect(canceledError(AbortSignal.abort().reason)).toMatchObject(canceled);
    expect(canceledError("seen enough")).toMatchObject({ ...canceled, message: "seen enough" });
    const own = new StreamError("own", { code: Code.Aborted });
    expect(canceledError(own)).toBe(own);
    expect([isOwnCancel(canceledError()), isOwnCancel(own)]).toEqual([true, false]);
  });
});
