import { contenders } from "../contenders.ts";
import type { BenchRun } from "./bench-run.ts";
import {
  type Comparison,
  comparisons,
  gatewayComparisons,
  hasReachedGoal,
  resultOf,
  shownLimit,
  shownResult,
  streamComparisons,
} from "./comparisons.ts";
import { crowdFigures, curveFigures, type Figure, httpFigures, nodeFigures, tabFigures } from "./figures.ts";
import { shown } from "./number.ts";

const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

/** A table in Markdown. Empty without rows. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const rule = head.map((_, index) => (index === 0 ? "---" : "--:"));
  return [head, rule, ...rows].map(row).join("\n");
}

/** Medians: contenders down, figures across. Rows and columns without any value are left out. */
function figureTable(run: BenchRun, allFigures: readonly Figure[]): string {
  const figures = allFigures.filter(({ id }) => run.entries(id).length > 0);
  const rows = contenders.flatMap(({ name, title, isOurs }) => {
    const cells = figures.map(({ id }) => {
      const spread = run.spread(id, name);
      if (spread !== undefined) return shown(spread.median);
      return run.hasFailed(id, name) ? "failed" : "";
    });
    if (cells.every((cell) => cell === "")) return [];
    return [[isOurs ? `**${title}**` : title, ...cells]];
  });
  return table(["", ...figures.map(({ title, unit }) => `${title}, ${unit}`)], rows);
}

export const nodeTable = (run: BenchRun): string => figureTable(run, nodeFigures);
export const crowdTable = (run: BenchRun): string => figureTable(run, crowdFigures);
export const tabTable = (run: BenchRun): string => figureTable(run, tabFigures);
export const httpTable = (run: BenchRun): string => figureTable(run, httpFigures);

export const ratioTable = (run: BenchRun): string =>
  goalTable(run, streamComparisons, "ratio: median (smallest–largest)");
export const gatewayTable = (run: BenchRun): string => goalTable(run, gatewayComparisons, "median (smallest–largest)");

/** Each comparison: the median of the rounds with their spread, and the goal where there is one. */
function goalTable(run: BenchRun, rowsOf: readonly Comparison[], head: string): string {
  const rows = rowsOf.flatMap((comparison) => {
    const result = resultOf(run, comparison);
    if (result === undefined) return [];
    const isReached = hasReachedGoal(run, comparison);
    const reached = isReached === undefined ? "" : isReached ? "reached" : "missed";
    const { title, goal } = comparison;
    return [[title, shownResult(result, comparison), shownLimit(comparison, goal), reached]];
  });
  return table(["", head, "goal", ""], rows);
}

/** States how many of the measured goals are reached. */
export function goalCount(run: BenchRun): string {
  const isReached = comparisons.map((each) => hasReachedGoal(run, each)).filter((each) => each !== undefined);
  return `Goals reached: ${isReached.filter(Boolean).length} of the ${isReached.length} that were measured.`;
}

/** For each figure, the carrier of this package that is best at it, and the yardsticks that are better still. */
export function behindTable(run: BenchRun): string {
  const rows = [...nodeFigures, ...crowdFigures].flatMap(({ id, title, unit, better }) => {
    const isBetter = (a: number, b: number) => (better === "higher" ? a > b : a < b);
    const entries = run.entries(id).toSorted((a, b) => (isBetter(a.spread.median, b.spread.median) ? -1 : 1));
    const best = entries.find(({ isOurs }) => isOurs);
    if (best === undefined) return [];
    const ahead = entries
      .slice(0, entries.indexOf(best))
      .map((entry) => `${entry.title} ${shown(entry.spread.median)}`);
    const own = `${best.title.replace("this package, ", "")} ${shown(best.spread.median)}`;
    return [[`${title}, ${unit}`, own, ahead.length === 0 ? "none" : ahead.join("; ")]];
  });
  return table(["", "best of this package", "ahead of it"], rows);
}

/** The curve: contenders and figures down, open streams across. */
export function curveTable(run: BenchRun): string {
  const counts = curveCounts(run);
  const rows = curveFigures.flatMap(({ name, title }) =>
    contenders.flatMap((contender) => {
      const cells = counts.map((count) => run.spread(`curve.${name}${count}`, contender.name));
      if (cells.every((cell) => cell === undefined)) return [];
      const values = cells.map((cell) => (cell === undefined ? "" : shown(cell.median)));
      return [[`${title}: ${contender.isOurs ? `**${contender.title}**` : contender.title}`, ...values]];
    }),
  );
  return table(["open streams", ...counts.map((count) => count.toLocaleString("en"))], rows);
}

/** The numbers of open streams that a run's curve has. */
export function curveCounts(run: BenchRun): number[] {
  const names = run.data.samples.filter(({ work }) => work === "curve").flatMap(({ values }) => Object.keys(values));
  return [...new Set(names.map((name) => Number(/\d+$/.exec(name)?.[0])))].sort((a, b) => a - b);
}

export function failedList(run: BenchRun): string {
  const { failed } = run.data;
  if (failed.length === 0) return "Nothing failed in this run.";
  const lines = failed.map(({ work, contender, reason }) => `- ${contender} in ${work}: ${firstLines(reason)}`);
  return ["These measurements failed, and the tables lack their figures:", "", ...lines].join("\n");
}

/** The message, and the first line of the process's standard error that names an error. */
function firstLines(reason: string): string {
  const lines = reason.split("\n").filter((line) => line.trim() !== "");
  const cause = lines.find((line, index) => index > 0 && /error/i.test(line));
  return [lines[0], cause].filter((line) => line !== undefined).join(": ");
}
