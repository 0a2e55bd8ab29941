import { describe, expect, test } from "vitest";
import { envelope } from "../../../leg/envelope.js";
import { readFrameHead } from "../../../leg/frame-head.js";
import { Parts } from "../../../leg/parts.js";

/** The head of a frame with these bytes after a message of three bytes. */
function headOf(...fields: number[]) {
  const frameBytes = [0x22, 5, 0x0a, 3, 1, 2, 3, ...fields];
  return readFrameHead(new Parts([envelope(0, new Uint8Array([0x12, frameBytes.length, ...frameBytes]))]));
}

const head = { sequence: 0, ack: 0, credit: 0, costBytes: 19, fin: false, reset: false };

describe("readFrameHead", () => {
  test.each<[string, number[], number]>([
    ["one byte", [0x10, 7], 7],
    ["several bytes", [0x10, 0xff, 0xff, 0x03], 65_535],
    ["eight bytes", [0x10, ...new Array(7).fill(0xff), 0x0f], Number.MAX_SAFE_INTEGER],
  ])("reads an ack of %s", (_what, field, ack) => {
    expect(headOf(...field)).toEqual({ ...head, ack });
  });

  test("reads the number and the credit of a frame", () => {
    expect(headOf(0x08, 5, 0x18, 0x80, 0x01)).toEqual({ ...head, sequence: 5, credit: 128 });
    expect(headOf(0x18, ...new Array(9).fill(0x80), 1)).toEqual({ ...head, credit: 2 ** 63 });
  });

  test.each<[string, number[]]>([
    ["a number of 64 bits", [0x78, ...new Array(9).fill(0xff), 1]],
    ["a number of eight bytes", [0x79, 0, 0, 0, 0, 0, 0, 0, 0]],
    ["bytes", [0x7a, 2, 0xff, 0xff]],
    ["a number of four bytes", [0x7d, 0, 0, 0, 0]],
  ])("skips an unknown field with %s", (_what, field) => {
    expect(headOf(...field)).toEqual(head);
    expect(headOf(...field, 0x28, 1)).toEqual({ ...head, fin: true });
  });

  test.each<[string, number[]]>([
    ["a number of 65 bits", [0x78, ...new Array(9).fill(0x80), 2]],
    ["a number of eleven bytes", [0x78, ...new Array(10).fill(0x80), 1]],
    ["bytes that reach beyond the frame", [0x7a, 3, 0xff, 0xff]],
    ["a group", [0x7b, 0x7c]],
    ["a credit of 65 bits", [0x18, ...new Array(9).fill(0x80), 2]],
    ["a known number and another wire type", [0x0d, 0, 0, 0, 0]],
  ])("leaves a frame to a decoder that has a field with %s", (_what, field) => {
    expect(headOf(...field)).toBeUndefined();
  });
});
