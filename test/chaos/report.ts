import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Machine, thisMachine } from "../../bench/machine.ts";
import { median, quantile } from "../../bench/statistics.ts";
import type { Carrier } from "./carriers.ts";
import type { FaultKind, Figures } from "./figures.ts";
import { mebibyte } from "./parties/transfer.ts";
import type { ScenarioResult } from "./scenarios/scenario.ts";

const page = fileURLToPath(new URL("../../docs/chaos.md", import.meta.url));

/** The histories of one carrier in a run. */
export interface CarrierRun {
  carrier: Carrier;
  figures: Figures;
  failed: number;
}

/** The figures of a run, for a terminal. */
export function figuresText(figures: Figures): string {
  const { histories, streams, messages, bytes, clean, resumptions } = figures;
  const lines = [
    `  ${histories} histories, ${streams} streams, ${messages} messages, ${mebibytes(bytes)}`,
    `  ${clean} streams ended well; others: ${failuresText(figures) || "none"}; ${resumptions} times resumed`,
  ];
  for (const [kind, count] of figures.faults) {
    const times = figures.returnsMs.get(kind) ?? [];
    lines.push(`  ${kind}: ${count} times, first new byte after ${timesText(times)}`);
  }
  return lines.join("\n");
}

/** Writes the histories of a whole run into docs/chaos.md. */
export function reportHistories(seed: number, runs: readonly CarrierRun[]): void {
  const rows = runs.map(({ carrier, figures, failed }) => [
    carrier,
    `${figures.histories}`,
    `${failed}`,
    `${figures.streams}`,
    `${figures.messages}, ${mebibytes(figures.bytes)}`,
    `${figures.clean}`,
    failuresText(figures) || "none",
    `${figures.resumptions}`,
  ]);
  const head = ["carrier", "histories", "failed", "streams", "messages", "ended well", "other ends", "resumed"];
  const kinds = new Set(runs.flatMap(({ figures }) => [...figures.faults.keys()]));
  const faultRows = [...kinds].map((kind) => {
    const times = runs.flatMap(({ figures }) => figures.returnsMs.get(kind) ?? []);
    return [
      kind,
      `${sum(runs, kind)}`,
      `${times.length}`,
      milliseconds(median(times)),
      milliseconds(quantile(times, 0.99)),
    ];
  });
  const faultHead = ["what happened", "times", "samples", "first new byte, median", "p99"];
  write("histories", [placeText(`Seed ${seed}`), table(head, rows), table(faultHead, faultRows)].join("\n\n"));
}

/** Writes the result of a scenario that was run in full into docs/chaos.md. */
export function reportScenario(name: string, { figures, problems }: ScenarioResult): void {
  const lines = [...figures, ...problems.map((problem) => `**Failed:** ${problem.split("\n")[0]}`)];
  write(name, `${placeText("Run")}\n\n${lines.map((line) => `- ${line}`).join("\n")}`);
}

function write(name: string, text: string): void {
  const [begin, end] = [`<!-- begin ${name} -->`, `<!-- end ${name} -->`];
  const whole = readFileSync(page, "utf8");
  const [before, rest] = whole.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`docs/chaos.md has no place for ${name}`);
  writeFileSync(page, `${before}${begin}\n${text}\n${end}${after}`);
}

function placeText(what: string): string {
  const { date, processor, cores, node }: Machine = thisMachine();
  return `${what}, on ${date}, ${cores} cores of ${processor}, Node ${node}.`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function sum(runs: readonly CarrierRun[], kind: FaultKind): number {
  return runs.reduce((count, { figures }) => count + (figures.faults.get(kind) ?? 0), 0);
}

const failuresText = ({ failures }: Figures) =>
  [...failures].map(([failure, count]) => `${count} ${failure}`).join(", ");

const mebibytes = (bytes: number) => `${(bytes / mebibyte).toFixed(0)} MiB`;

function timesText(times: readonly number[]): string {
  if (times.length === 0) return "no sample";
  return `${milliseconds(median(times))}, p99 ${milliseconds(quantile(times, 0.99))} (${times.length} samples)`;
}

function milliseconds(value: number): string {
  if (Number.isNaN(value)) return "";
  return `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;
}
