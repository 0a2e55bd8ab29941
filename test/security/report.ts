import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Machine } from "../../bench/machine.ts";
import { type Attack, mebibyte, type Outcome } from "./attack.ts";
import type { Measurement } from "./stage.ts";

const page = fileURLToPath(new URL("../../docs/security-tests.md", import.meta.url));
const [begin, end] = ["<!-- begin figures -->", "<!-- end figures -->"];

/** An attack on the relay, and the same on a bare server. */
export interface Trial {
  attack: Attack;
  relay: Measurement;
  bare: Measurement | undefined;
  problems: readonly string[];
}

/** The figures of a trial, for a terminal. */
export function trialText({ attack, relay, bare, problems }: Trial): string {
  const lines = [`${attack.name}: ${cells(relay).join(", ")}`];
  if (bare !== undefined) lines.push(`  ${attack.bare} alone: ${cells(bare).join(", ")}`);
  return [...lines, ...problems.map((problem) => `  FAILED  ${problem}`)].join("\n");
}

/**
 * Writes the figures of a run into docs/security-tests.md. Attacks that were not played keep the rows of an earlier
 * run, so each row has its day. Attacks that there are no more lose theirs.
 */
export function writeReport(attacks: readonly Attack[], trials: readonly Trial[], machine: Machine): void {
  const { date, processor, cores, node, loadBefore } = machine;
  const head = [
    "attack",
    "what became of it",
    "memory",
    "longest turn",
    "others' p99",
    "others wait at most",
    "within its bounds",
    "day",
  ];
  const earlier = earlierRows();
  const rows = attacks.flatMap((attack) => {
    const trial = trials.find((each) => each.attack === attack);
    if (trial === undefined) return earlier.get(attack.name) ?? [];
    const { relay, bare, problems } = trial;
    return [
      [`**${attack.name}**`, ...cells(relay), problems.length === 0 ? "yes" : "**no**", date],
      ...(bare === undefined ? [] : [[`${attack.bare} alone`, ...cells(bare), "", date]]),
    ];
  });
  const about = attacks.map(
    (attack) =>
      `- **${attack.name}** ${attack.about}: ${attack.amount.long.toLocaleString("en")}. Expected: ${expectedText(attack)}.`,
  );
  const load = `Load average before the last run: ${loadBefore.toFixed(1)}.`;
  const place = `On ${cores} cores of ${processor}, Node ${node}. ${load}`;
  write([place, table(head, rows), "## The attacks", about.join("\n")].join("\n\n"));
}

/** The rows that are on the page, by the attack that they are about. */
function earlierRows(): Map<string, string[][]> {
  const rows = new Map<string, string[][]>();
  let ofAttack: string[][] = [];
  for (const line of figures().split("\n")) {
    if (!line.startsWith("| ")) continue;
    const row = line.slice(2, -2).split(" | ");
    const name = /^\*\*(.*)\*\*$/.exec(row[0] ?? "")?.[1];
    if (name !== undefined) {
      ofAttack = [];
      rows.set(name, ofAttack);
    }
    ofAttack.push(row);
  }
  return rows;
}

function figures(): string {
  return readFileSync(page, "utf8").split(begin)[1]?.split(end)[0] ?? "";
}

function write(text: string): void {
  const whole = readFileSync(page, "utf8");
  const [before, rest] = whole.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error("docs/security-tests.md has no place for figures");
  writeFileSync(page, `${before}${begin}\n${text}\n${end}${after}`);
}

function cells({ outcome, peakBytes, heldBytes, longestTurnMs, bystander }: Measurement): string[] {
  const { p99, max } = bystander?.roundTripsMs ?? { p99: Number.NaN, max: Number.NaN };
  const growth = (bytes: number) => `${bytes < 0 ? "" : "+"}${(bytes / mebibyte).toFixed(1)} MiB`;
  const memory = outcome.kind === "endured" ? `${growth(peakBytes)}, then ${growth(heldBytes)}` : growth(peakBytes);
  return [outcomeText(outcome), memory, milliseconds(longestTurnMs), milliseconds(p99), milliseconds(max)];
}

function outcomeText(outcome: Outcome): string {
  if (outcome.kind === "cut off") return `cut off after ${milliseconds(outcome.afterMs)}`;
  if (outcome.kind === "refused") return `refused: ${outcome.answer}`;
  return outcome.note === undefined ? "endured" : `endured: ${outcome.note}`;
}

function expectedText({ expected, bounds }: Attack): string {
  const { cutOffMs, peakBytes, heldBytes, turnMs, roundTripMs } = bounds;
  const held = heldBytes === undefined ? "" : ` and +${heldBytes / mebibyte} MiB afterwards`;
  const memory = `memory +${peakBytes / mebibyte} MiB${held}`;
  return `${expected} within ${milliseconds(cutOffMs)}, ${memory}, turn ${turnMs} ms, p99 ${roundTripMs} ms`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (each: readonly string[]) => `| ${each.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function milliseconds(value: number): string {
  if (Number.isNaN(value)) return "";
  return `${value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en")} ms`;
}
