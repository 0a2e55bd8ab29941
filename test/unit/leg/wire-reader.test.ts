import fc from "fast-check";
import { expect, test } from "vitest";
import { Parts } from "../../../leg/parts.js";
import { WireReader } from "../../../leg/wire-reader.js";
import { varintBytes, WireWriter } from "../../../leg/wire-writer.js";

const numbers = fc.oneof(fc.maxSafeNat(), fc.nat(300), fc.constantFrom(0, 127, 128, 2 ** 32, Number.MAX_SAFE_INTEGER));

function inChunks(bytes: Uint8Array, chunkBytes: number): Parts {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.byteLength; at += chunkBytes) chunks.push(bytes.subarray(at, at + chunkBytes));
  return new Parts(chunks);
}

test("whatever is written can be read, byte for byte", () => {
  fc.assert(
    fc.property(
      fc.array(numbers),
      fc.uint8Array(),
      fc.boolean(),
      fc.integer({ min: 1, max: 40 }),
      (all, bytes, flag, cutBytes) => {
        const numberBytes = all.reduce((sum, number) => sum + varintBytes(number), 0);
        const writer = new WireWriter(numberBytes + varintBytes(bytes.byteLength) + bytes.byteLength + 1);
        for (const number of all) writer.varint(number);
        writer
          .varint(bytes.byteLength)
          .raw(bytes)
          .varint(flag ? 1 : 0);
        const reader = new WireReader(inChunks(writer.bytes, cutBytes));
        expect(all.map(() => reader.varint())).toEqual(all);
        expect([reader.at, reader.at + reader.leftBytes]).toEqual([numberBytes, writer.bytes.byteLength]);
        expect(reader.take(reader.varint())).toEqual(bytes);
        expect(reader.flag()).toBe(flag);
        expect(reader.leftBytes).toBe(0);
      },
    ),
    { seed: 20_120_407 },
  );
});

test("a view is not copied", () => {
  const bytes = Uint8Array.of(9, 7, 8).subarray(1);
  const view = new WireReader(new Parts([bytes])).take(2);
  expect([view.buffer, view.byteOffset, view.byteLength]).toEqual([bytes.buffer, 1, 2]);
});

test.each<[string, number[], (reader: WireReader) => unknown]>([
  ["nothing for a number", [], (reader) => reader.varint()],
  ["a number without an end", [0x80, 0x80], (reader) => reader.varint()],
  ["2^53", [...new Array(7).fill(0x80), 0x10], (reader) => reader.varint()],
  ["a number of nine bytes", [...new Array(8).fill(0x80), 0x01], (reader) => reader.varint()],
  ["a tag of 33 bits", [0xa2, 0x80, 0x80, 0x80, 0x10], (reader) => reader.uint32()],
  ["a length of six bytes", [0x81, 0x80, 0x80, 0x80, 0x80, 0], (reader) => reader.uint32()],
  ["two for a flag", [2], (reader) => reader.flag()],
  ["too few bytes", [1, 2], (reader) => reader.take(3)],
  ["too few bytes to skip", [1, 2], (reader) => reader.skip(3)],
])("%s cannot be read", (_what, bytes, read) => {
  expect(() => read(new WireReader(new Parts([new Uint8Array(bytes)])))).toThrow(RangeError);
});
