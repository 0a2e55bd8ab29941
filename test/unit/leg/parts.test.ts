import { expect, test } from "vitest";
import { isSmall, Parts } from "../../../leg/parts.js";

const arrays = [[1, 2, 3], [], [4], [5, 6, 7, 8]].map((bytes) => new Uint8Array(bytes));
const whole = [1, 2, 3, 4, 5, 6, 7, 8];

test("bytes are small up to 4 KiB", () => {
  expect(isSmall(new Uint8Array(4_096))).toBe(true);
  expect(isSmall(new Uint8Array(4_097))).toBe(false);
});

test("parts are as long as their arrays, and joined have the same bytes", () => {
  const parts = new Parts(arrays);
  expect(parts.byteLength).toBe(8);
  expect([...parts.joined]).toEqual(whole);
  expect(new Parts([]).byteLength).toBe(0);
  expect([...new Parts([]).joined]).toEqual([]);
});

test("a part of them is what a part of the joined bytes would be, wherever it is taken", () => {
  const parts = new Parts(arrays);
  for (let from = 0; from <= whole.length; from += 1) {
    for (let to = from; to <= whole.length; to += 1) {
      const some = parts.subarray(from, to);
      expect([...some.joined], `from ${from} to ${to}`).toEqual(whole.slice(from, to));
      expect(some.byteLength).toBe(to - from);
      const known = new Set<ArrayBufferLike>(arrays.map(({ buffer }) => buffer));
      expect(some.arrays.every(({ buffer }) => known.has(buffer))).toBe(true);
    }
  }
});

test("one array, and all of the parts, are not copied", () => {
  const [first] = arrays;
  expect(new Parts([first!]).joined).toBe(first);
  const parts = new Parts(arrays);
  expect(parts.subarray(0, 8)).toBe(parts);
});

test("they are copied to where they are wanted, and leave the rest as it was", () => {
  const target = new Uint8Array(11).fill(9);
  new Parts(arrays).copyTo(target, 2);
  expect([...target]).toEqual([9, 9, ...whole, 9]);
  const atStart = new Uint8Array(8);
  new Parts(arrays).copyTo(atStart);
  expect([...atStart]).toEqual(whole);
});
