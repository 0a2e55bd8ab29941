import { describe, expect, test } from "vitest";
import { type GuardedComparison, guardedComparisons, judge, judgeAll } from "../../../bench/guard.js";
import { thisMachine } from "../../../bench/machine.js";
import type { Sample } from "../../../bench/measurement.js";
import { BenchRun } from "../../../bench/report/bench-run.js";
import { findFigure } from "../../../bench/report/figures.js";

function samplesOf({ figure, ours, yardstick }: GuardedComparison, ourValue: number, yardstickValue: number): Sample[] {
  const [work = "", name = ""] = figure.split(".");
  const sample = (contender: string, value: number) => ({ work, contender, round: 0, values: { [name]: value } });
  return [sample(ours, ourValue), sample(yardstick, yardstickValue)];
}

const runOf = (samples: Sample[]) => new BenchRun({ machine: thisMachine(), durationS: 20, samples, failed: [] });

const speed: GuardedComparison = {
  title: "64 KiB messages",
  figure: "bulk.megabytesPerS",
  ours: "connect",
  yardstick: "http2-pipe",
  bound: 0.5,
};
const time: GuardedComparison = { ...speed, title: "ping-pong", figure: "ping.p50Us", bound: 2 };

describe("judge", () => {
  test.each([
    ["a speed at its bound", speed, 400, true],
    ["a speed below its bound", speed, 404, false],
    ["a time at its bound", time, 100, true],
    ["a time above its bound", time, 99, false],
  ])("sees whether %s is kept", (_, comparison, yardstickValue, isKept) => {
    expect(judge(runOf(samplesOf(comparison, 200, yardstickValue)), comparison).isKept).toBe(isKept);
  });

  test("names the figure, its ratio and bound, and both values", () => {
    const { text } = judge(runOf(samplesOf(speed, 200, 500)), speed);
    for (const part of ["64 KiB messages", "0.40", "≥ 0.5", "connect 200 MB/s", "http2-pipe 500 MB/s"]) {
      expect(text).toContain(part);
    }
  });

  test("does not take a comparison that was not measured for kept", () => {
    expect(judge(runOf(samplesOf(speed, 200, 400)), time).isKept).toBe(false);
  });
});

describe("judgeAll", () => {
  /** A run in which the comparisons whose place is among the misses are far behind, and the others far ahead. */
  const runWithMisses = (misses: readonly number[]) =>
    runOf(
      guardedComparisons.flatMap((comparison, index) => {
        const isFast = !misses.includes(index);
        const isHigh = isFast === (findFigure(comparison.figure).better === "higher");
        return samplesOf(comparison, isHigh ? 1_000 : 1, isHigh ? 1 : 1_000);
      }),
    );

  /** The verdicts on runs that miss these comparisons, one run after the other, and how many of them took place. */
  async function judgeRuns(...missesOfRuns: number[][]) {
    let runs = 0;
    const verdicts = await judgeAll(async () => runWithMisses(missesOfRuns[runs++] ?? []));
    return { runs, missed: verdicts.flatMap(({ isKept }, index) => (isKept ? [] : [index])) };
  }

  test("measures once if every bound is kept", async () => {
    expect(await judgeRuns([])).toEqual({ runs: 1, missed: [] });
  });

  test("measures again what missed its bound, and remembers what kept its own", async () => {
    expect(await judgeRuns([0, 1], [1, 2], [3])).toEqual({ runs: 3, missed: [] });
  });

  test("reports what missed its bound three times", async () => {
    expect(await judgeRuns([0, 2], [1, 2], [2])).toEqual({ runs: 3, missed: [2] });
  });
});

test("guardedComparisons are bulk, small messages, ping-pong and the relay's CPU, beside the bare http2 pipe", () => {
  expect(guardedComparisons.map(({ figure }) => figure).sort()).toEqual([
    "bulk.megabytesPerS",
    "bulk.relayCpuSPerGib",
    "ping.p50Us",
    "small.thousandsPerS",
  ]);
  expect(new Set(guardedComparisons.map(({ yardstick }) => yardstick))).toEqual(new Set(["http2-pipe"]));
});
