import { describe, expect, test } from "vitest";
import type { BenchStream } from "../../../bench/contender.js";
import { flowRate } from "../../../bench/measurement.js";
import { median, quantile, ratios, spread } from "../../../bench/statistics.js";
import { answer } from "../../../bench/traffic/answer.js";
import { decodeReply, encodeOrder, type Reply } from "../../../bench/traffic/order.js";
import { areWordsEqual, isPattern, patternBytes, patternMessages } from "../../../bench/traffic/pattern.js";

/** A listener's stream whose replies are collected, and which takes the bytes that a test gives it. */
function answeredStream(keepsMessages: boolean) {
  const replies: Reply[] = [];
  let onBytes = (_: Uint8Array) => {};
  const stream: BenchStream = {
    write(message) {
      replies.push(decodeReply(message));
      return true;
    },
    drained: async () => {},
    receive: (listener) => {
      onBytes = listener;
    },
    end: () => {},
    closed: new Promise(() => {}),
  };
  answer(stream, keepsMessages);
  return { replies, give: (bytes: Uint8Array) => onBytes(bytes) };
}

const [first = new Uint8Array(), second = new Uint8Array()] = patternMessages(1_024);
const order = encodeOrder({ kind: "flow", messageBytes: 1_024, totalBytes: 2_048 });

describe("answer", () => {
  test("takes messages as they were sent for intact", () => {
    const { replies, give } = answeredStream(true);
    for (const bytes of [order, first, second]) give(bytes);
    expect(replies).toEqual([{ isIntact: true, receivedBytes: 2_048 }]);
  });

  test("takes bytes in any pieces for intact where messages have no borders", () => {
    const { replies, give } = answeredStream(false);
    const all = Buffer.concat([order, first, second, encodeOrder({ kind: "echo" })]);
    for (let at = 0; at < all.byteLength; at += 100) give(all.subarray(at, at + 100));
    expect(replies.map(({ isIntact }) => isIntact)).toEqual([true, true]);
  });

  test("sees a changed byte, messages in another order, and one that was split", () => {
    const changed = first.slice();
    changed[1_023] = (changed[1_023] ?? 0) ^ 1;
    for (const messages of [
      [changed, second],
      [second, first],
      [first.subarray(0, 512), first.subarray(512), second],
    ]) {
      const { replies, give } = answeredStream(true);
      for (const bytes of [order, ...messages]) give(bytes);
      expect(replies).toEqual([{ isIntact: false, receivedBytes: 2_048 }]);
    }
  });
});

describe("isPattern", () => {
  test("goes on from the end of the pattern at its beginning", () => {
    const last = patternMessages(1_024).at(-1) ?? first;
    expect(isPattern(Buffer.concat([last, first]), patternBytes - 1_024)).toBe(true);
    expect(isPattern(Buffer.concat([last, second]), patternBytes - 1_024)).toBe(false);
  });

  test.each([0, 1, 2, 4])("areWordsEqual sees each byte of memory that begins at %i", (offset) => {
    const memory = new Uint8Array(offset + 1_022);
    const bytes = memory.subarray(offset);
    bytes.set(first.subarray(0, 1_022));
    expect(areWordsEqual(bytes, 0, 0, 1_022)).toBe(true);
    for (const index of [0, 517, 1_021]) {
      bytes[index] = (bytes[index] ?? 0) ^ 128;
      expect(areWordsEqual(bytes, 0, 0, 1_022)).toBe(false);
      bytes[index] = (bytes[index] ?? 0) ^ 128;
    }
  });
});

describe("flowRate", () => {
  const flow = { startedMs: 1_000, unitBytes: 100, repliesMs: [1_050, 1_100, 1_150, 1_200, 1_900] };

  test("counts from the first reply of the window to the last", () => {
    expect(flowRate(flow, { fromMs: 100, toMs: 200 })).toBe(2);
  });

  test("counts the whole flow where the replies of the window came in a burst", () => {
    expect(flowRate(flow, { fromMs: 100, toMs: 800 })).toBeCloseTo(500 / 900);
  });
});

describe("statistics", () => {
  test("median is the middle, or the mean of the two in the middle", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  test("quantile is a value that was measured", () => {
    const values = Array.from({ length: 200 }, (_, index) => index + 1);
    expect(quantile(values, 0.99)).toBe(198);
    expect(quantile([7], 0.99)).toBe(7);
  });

  test("ratios leaves out rounds that one side does not have", () => {
    expect(
      ratios(
        new Map([
          [0, 1],
          [1, 6],
        ]),
        new Map([
          [1, 3],
          [2, 5],
        ]),
      ),
    ).toEqual([2]);
    expect(spread([])).toBeUndefined();
  });
});
