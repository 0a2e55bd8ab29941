import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { closeError, closureOf } from "../../../websocket/close-code.js";

describe("closureOf", () => {
  test.each([1000, 1001, 1011, 1014, 3000, 4999])("reads the code %i and the reason that closeError tells", (code) => {
    expect(closureOf(closeError(code, "why: so"))).toMatchObject({ code, reason: "why: so", wasClean: true });
    expect(closureOf(closeError(code, ""))).toMatchObject({ code, reason: "", wasClean: true });
  });

  test.each([999, 1004, 1005, 1006, 1015, 2999, 5000, 9999])(
    "takes %i, which no close frame may have, for 1006",
    (code) => {
      expect(closureOf(closeError(code, "why"))).toMatchObject({ code: 1006, wasClean: false });
    },
  );

  test("cuts a reason that is too long for a close frame, between its characters", () => {
    for (const error of [closeError(4000, "é".repeat(200)), new StreamError("é".repeat(200))]) {
      expect(closureOf(error).reason).toBe("é".repeat(61));
    }
  });

  test("has the nearest code for a failure, a status code, and neither", () => {
    const codes = [
      new StreamError("", { failure: Failure.LISTENER_GONE }),
      new StreamError("", { failure: Failure.DECLINED, code: Code.Unavailable }),
      new StreamError("", { code: Code.Internal }),
      new StreamError("", { failure: Failure.LEG_LOST }),
    ].map((error) => closureOf(error).code);
    expect(codes).toEqual([1001, 1008, 1011, 1006]);
  });
});
