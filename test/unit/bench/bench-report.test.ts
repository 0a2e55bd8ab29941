import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Sample } from "../../../bench/measurement.js";
import { barChart } from "../../../bench/report/bar-chart.js";
import { BenchRun } from "../../../bench/report/bench-run.js";
import { comparisons } from "../../../bench/report/comparisons.js";
import { curveChart } from "../../../bench/report/curve-chart.js";
import { findFigure } from "../../../bench/report/figures.js";
import { shown } from "../../../bench/report/number.js";
import { fillReadme } from "../../../bench/report/readme.js";
import { gatewayTable, nodeTable, ratioTable } from "../../../bench/report/tables.js";

const machine = {
  processor: "a processor",
  cores: 2,
  memoryGib: 8,
  system: "a system",
  node: "v24.0.0",
  date: "2026-01-01",
  loadBefore: 0,
};

const bulk = (contender: string, round: number, megabytesPerS: number): Sample => ({
  work: "bulk",
  contender,
  round,
  values: { megabytesPerS },
});

/** The second round was slow for everybody. */
const samples = [
  bulk("connect", 0, 100),
  bulk("http2-pipe", 0, 400),
  bulk("connect", 1, 10),
  bulk("http2-pipe", 1, 20),
  { work: "curve", contender: "connect", round: 0, values: { pairingsPerS10: 500, pairingsPerS100: 450 } },
];
const failed = [{ work: "bulk", contender: "ws", reason: "it broke" }];
const run = new BenchRun({ machine, durationS: 60, samples, failed });

describe("BenchRun", () => {
  test("ratio compares the measurements of one round, whatever the rounds were like", () => {
    expect(run.ratio("bulk.megabytesPerS", "connect", "http2-pipe")).toEqual({ median: 0.375, min: 0.25, max: 0.5 });
  });

  test("ratio is undefined where one side was not measured", () => {
    expect(run.ratio("bulk.megabytesPerS", "connect", "ws")).toBeUndefined();
  });
});

describe("tables", () => {
  test("show medians, and say who failed", () => {
    expect(nodeTable(run)).toContain("| **this package, HTTP/2, Connect** | 55 |");
    expect(nodeTable(run)).toContain("| `ws`, with bufferutil | failed |");
  });

  test("show ratios with their spread, and their goals", () => {
    expect(ratioTable(run)).toContain("| 0.38 (0.25–0.50) | ≥ 0.8 | missed |");
  });

  test("show figures that have goals of their own, with their units", () => {
    const requests = (round: number, perS: number): Sample => ({
      work: "http-requests",
      contender: "gateway-tab",
      round,
      values: { perS },
    });
    const measured = new BenchRun({
      machine,
      durationS: 60,
      samples: [requests(0, 1_500), requests(1, 2_700)],
      failed: [],
    });
    expect(gatewayTable(measured)).toContain("| 2,100 (1,500–2,700) /s | ≥ 2,000 | reached |");
    expect(ratioTable(measured)).toBe("");
  });

  test.each([
    [0.0456, "0.046"],
    [4.561, "4.56"],
    [456.4, "456"],
    [45_640, "45,600"],
  ])("shown(%f) keeps three digits", (value, text) => expect(shown(value)).toBe(text));
});

const template = readFileSync(new URL("../../../bench/README.template.md", import.meta.url), "utf8");
const withGoal = comparisons.filter(({ goal }) => goal !== undefined);

/** The section about losses, of a run with one comparison whose result is so many times as good as its goal. */
function lossesOf({ figure, ours, yardstick, goal = 1 }: (typeof comparisons)[number], timesAsGood: number): string {
  const [work = "", name = ""] = figure.split(".");
  const isHigh = findFigure(figure).better === "higher";
  // A goal of none is missed by one.
  const result = goal === 0 ? Number(timesAsGood < 1) : isHigh ? goal * timesAsGood : goal / timesAsGood;
  const sample = (contender: string, value: number) => ({ work, contender, round: 0, values: { [name]: value } });
  const samples =
    yardstick === undefined ? [sample(ours, result)] : [sample(ours, result * 100), sample(yardstick, 100)];
  const measured = new BenchRun({ machine, durationS: 60, samples, failed: [] });
  return fillReadme(template, measured, "").split("## Where we lose")[1] ?? "";
}

describe("fillReadme", () => {
  test.each(withGoal)("gives a reason for $title only where a run misses the goal", (comparison) => {
    expect(lossesOf(comparison, 0.9)).toContain(`- **${comparison.title}**`);
    expect(lossesOf(comparison, 1.1)).not.toContain(comparison.title);
    expect(lossesOf(comparison, 1.1)).toContain(": 1 of the 1");
  });

  test("throws for a reason for a comparison without a goal", () => {
    const block = "{{missed connect http2-pipe many.megabytesPerS}}\nA reason.\n{{/missed}}\n";
    expect(() => fillReadme(block, run, "")).toThrow("many.megabytesPerS");
  });

  test("fills every placeholder of the template", () => {
    const page = fillReadme(template, run, "the profile");
    expect(page).not.toContain("{{");
    expect(page).toContain("the profile");
    expect(page).toContain("0.38 (0.25–0.50)");
  });

  test("fills a page of figures from before the gateway was measured", () => {
    const [, gateway = ""] = fillReadme(template, run, "").split("## HTTP through the gateway");
    expect(gateway.split("\n## ")[0]).toContain("(not measured)");
  });

  test("throws for a placeholder that does not exist", () => {
    expect(() => fillReadme("{{no-such-table}}", run, "")).toThrow("no-such-table");
  });
});

describe("charts", () => {
  test.each([
    ["barChart", barChart],
    ["curveChart", curveChart],
  ])("%s draws numbers only, for light and dark backgrounds", (_, chart) => {
    const svg = chart(run);
    expect(svg).toMatch(/^<svg [^>]*viewBox="0 0 \d+ \d+"/);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(svg).toContain("prefers-color-scheme: dark");
  });
});
