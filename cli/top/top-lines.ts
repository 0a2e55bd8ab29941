import type { Report } from "../../web/operator/report.js";
import { callerOf, duration, endpointOf, totalsOf, waitedOf, waitOf } from "../../web/operator/report-words.js";
import { visibleText } from "../../web/operator/visible-text.js";
import { shellWord } from "../terminal/shell-word.js";

/** Columns are two spaces apart. */
const gap = "  ";

/** Returns the lines of a report, for a terminal or a file. No text of strangers in them moves or hides other text. */
export function topLines({ totals, streams = [], names = [], refusals = [] }: Report): string[] {
  const tables = [
    table(
      ["WAITS FOR", "SINCE", "STREAM", "NAME", "AGE", "CLIENT", "LISTENER"],
      streams.map((stream) => {
        const { streamId = "", name = "", ageMs, client, listener, state } = stream;
        const waits = waitOf(stream) || (state === "STREAM_STATE_ENDED" ? "(ended)" : "-");
        const ids = [streamId, name === "" ? "" : shellWord(name), duration(ageMs)];
        return [waits, waitedOf(stream), ...ids, endpointOf(client), endpointOf(listener)];
      }),
    ),
    table(
      ["LEASE", "NAME", "AGE", "WAITING", "LISTENER"],
      names.map(({ leaseId = "", name = "", ageMs, offers = 0, suspended, listener }) => {
        const who = `${suspended ? "away, " : ""}${callerOf(listener)}`;
        return [leaseId, shellWord(name), duration(ageMs), String(offers), who];
      }),
    ),
    table(
      ["REFUSED", "CALL", "REASON", "LAST", "CALLER", "NAME"],
      refusals.map(({ count = "", call = "", reason = "", lastMs, lastCaller, lastName = "" }) => {
        const name = lastName === "" ? "" : shellWord(lastName);
        return [count, call, reason, duration(lastMs), callerOf(lastCaller), name];
      }),
    ),
  ];
  const summary = totalsOf(totals).map(([what, howMuch]) => `${what} ${howMuch}`);
  return [summary.join(gap), ...tables.filter((lines) => lines.length > 0).flatMap((lines) => ["", ...lines])];
}

/** Every column but the last one is as wide as its widest cell. */
function table(heads: string[], rows: string[][]): string[] {
  if (rows.length === 0) return [];
  const all = [heads, ...rows.map((row) => row.map(visibleText))];
  const widths = heads.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(gap)
      .trimEnd(),
  );
}
