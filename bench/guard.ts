import { type ContenderName, findStreamContender } from "./contenders.ts";
import { thisMachine } from "./machine.ts";
import { Trio } from "./parties/trio.ts";
import { guardPlan } from "./plan.ts";
import { BenchRun } from "./report/bench-run.ts";
import { type Comparison, comparisons, shownLimit } from "./report/comparisons.ts";
import { findFigure, isAsGoodAs } from "./report/figures.ts";
import { shown } from "./report/number.ts";
import { run } from "./run.ts";
import { sharedSection } from "./sections/node-sections.ts";
import { works } from "./works.ts";

/** A comparison that the guard measures. */
export type GuardedComparison = Comparison & { yardstick: ContenderName; bound: number };

/** A guarded comparison with its result. */
export interface Verdict {
  isKept: boolean;
  /** The comparison, its ratio, the bound, and the two medians that the ratio is of. */
  text: string;
}

/** Another program that is busy slows this package more than a pipe. It may have ended by the next measurement. */
const maxRetries = 2;

export const guardedComparisons = comparisons.filter(
  (each): each is GuardedComparison => each.bound !== undefined && each.yardstick !== undefined,
);

/** Judges one comparison of a run that has measured it. */
export function judge(measured: BenchRun, comparison: GuardedComparison): Verdict {
  const { title, ours, yardstick, bound } = comparison;
  const figure = findFigure(comparison.figure);
  const ratio = measured.ratio(figure.id, ours, yardstick)?.median ?? Number.NaN;
  const value = (contender: string) => shown(measured.spread(figure.id, contender)?.median ?? Number.NaN);
  const values = `${ours} ${value(ours)} ${figure.unit}, ${yardstick} ${value(yardstick)} ${figure.unit}`;
  return {
    isKept: isAsGoodAs(figure, ratio, bound),
    text: `${title}: ${ratio.toFixed(2)}, bound ${shownLimit(comparison, bound)} (${values})`,
  };
}

/** Measures all guarded comparisons. Rejects if a work fails, because its ratio then means nothing. */
async function measure(log: (line: string) => void): Promise<BenchRun> {
  const workNames = new Set(guardedComparisons.map(({ figure }) => figure.split(".")[0]));
  const contenderNames = new Set(guardedComparisons.flatMap(({ ours, yardstick }) => [ours, yardstick]));
  const section = sharedSection(
    works.filter(({ name }) => workNames.has(name)),
    [...contenderNames].map(findStreamContender),
    Trio.start,
    guardPlan,
  );
  const machine = thisMachine();
  const startedMs = performance.now();
  const result = await run([section], log, () => {});
  const [failed] = result.failed;
  if (failed !== undefined) throw new Error(`${failed.work} of ${failed.contender} failed: ${failed.reason}`);
  return new BenchRun({ machine, durationS: (performance.now() - startedMs) / 1_000, ...result });
}

/**
 * Judges all guarded comparisons. If one misses its bound, everything is measured again, up to twice. Resolves with the
 * first verdict in which a comparison kept its bound, or with its last one.
 */
export async function judgeAll(measureAll: () => Promise<BenchRun>): Promise<Verdict[]> {
  const judgeOnce = async () => {
    const measured = await measureAll();
    return guardedComparisons.map((comparison) => judge(measured, comparison));
  };
  let verdicts = await judgeOnce();
  for (let retry = 0; retry < maxRetries && !verdicts.every(({ isKept }) => isKept); retry += 1) {
    const again = await judgeOnce();
    verdicts = verdicts.map((verdict, index) => (verdict.isKept ? verdict : (again[index] ?? verdict)));
  }
  return verdicts;
}

/**
 * Compares the built package with the yardstick of each guarded comparison, in about 27 s, with new processes for each
 * retry. Rejects if a contender fails, for example because a byte arrived that was not sent.
 */
export const runGuard = (log: (line: string) => void): Promise<Verdict[]> => judgeAll(() => measure(log));
