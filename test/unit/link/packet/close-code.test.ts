import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { closeError, closeFrame } from "../../../../link/packet/close-code.js";
import { StreamError } from "../../../../stream/error/stream-error.js";

const everyCode = Object.values(Code).filter((code): code is Code => typeof code === "number");
const maxReasonBytes = 123;

describe("what a WebSocket was closed with", () => {
  test.each([
    [1000, Code.Canceled],
    [1001, Code.Unavailable],
    [1002, Code.InvalidArgument],
    [1003, Code.InvalidArgument],
    [1004, Code.Unavailable],
    [1005, Code.Unavailable],
    [1006, Code.Unavailable],
    [1007, Code.InvalidArgument],
    [1008, Code.PermissionDenied],
    [1009, Code.ResourceExhausted],
    [1010, Code.Unavailable],
    [1011, Code.Internal],
    [1012, Code.Unavailable],
    [1013, Code.Unavailable],
    [1014, Code.Unavailable],
    [1015, Code.Unavailable],
    [3000, Code.Unavailable],
    [4000, Code.Unavailable],
    [4017, Code.Unavailable],
    [4999, Code.Unavailable],
  ])("%i is the status %i", (closeCode, code) => {
    const error = closeError(closeCode, "so it was said");
    expect(error).toMatchObject({ code, failure: Failure.UNSPECIFIED, message: "so it was said" });
  });

  test("4001 to 4016 are Connect's own codes", () => {
    expect(everyCode).toHaveLength(16);
    for (const code of everyCode) expect(closeError(4000 + code, "").code).toBe(code);
  });

  test("without a reason the error still says something", () => {
    expect(closeError(1006, "").message).toContain("1006");
  });
});

describe("what a WebSocket is closed with", () => {
  test.each(everyCode)("for the status %i, and that is what the other side takes it for", (code) => {
    const frame = closeFrame(new StreamError("a reason", { code }));
    expect(frame).toEqual({ code: code === Code.Canceled ? 1000 : 4000 + code, reason: "a reason" });
    expect(closeError(frame.code, frame.reason)).toMatchObject({ code, message: "a reason" });
  });

  test.each(["a", "é", "€", "😀"])(
    "a reason of many %s is cut to what a close frame holds, between characters",
    (character) => {
      const characterBytes = Buffer.byteLength(character);
      for (let before = 0; before < characterBytes; before += 1) {
        const whole = "-".repeat(before) + character.repeat(maxReasonBytes);
        const { reason } = closeFrame(new StreamError(whole));
        expect(whole.startsWith(reason)).toBe(true);
        expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(maxReasonBytes);
        expect(Buffer.byteLength(reason)).toBeGreaterThan(maxReasonBytes - characterBytes);
      }
    },
  );
});
