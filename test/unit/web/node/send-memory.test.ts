import { describe, expect, test } from "vitest";
import { SendMemory } from "../../../../web/node/send-memory.js";

describe("SendMemory.take", () => {
  test.each([0, 1, 16_383, 16_384, 16_385, 262_144, 300_000, 3_000_000])("returns memory of %i bytes", (byteLength) => {
    const memory = new SendMemory();
    for (let time = 0; time < 2; time += 1) {
      const bytes = memory.take(byteLength);
      expect(bytes.byteLength).toBe(byteLength);
      memory.release(bytes);
    }
  });

  test("returns memory again once it was released, and not before", () => {
    const memory = new SendMemory();
    const first = memory.take(200_000);
    expect(memory.take(200_000).buffer).not.toBe(first.buffer);
    memory.release(first);
    expect(memory.take(250_000).buffer).toBe(first.buffer);
    expect(memory.take(250_000).buffer).not.toBe(first.buffer);
  });

  test("uses no large block for a small envelope", () => {
    const memory = new SendMemory();
    const large = memory.take(1_000_000);
    memory.release(large);
    expect(memory.take(20_000).buffer.byteLength).toBe(32_768);
  });
});

test("SendMemory.release keeps 2 MiB, those that were released last", () => {
  const memory = new SendMemory();
  const blocks = Array.from({ length: 5 }, () => memory.take(524_288));
  for (const block of blocks) memory.release(block);
  const kept = new Set(Array.from({ length: 5 }, () => memory.take(524_288).buffer));
  expect(blocks.map(({ buffer }) => kept.has(buffer))).toEqual([false, true, true, true, true]);
});
