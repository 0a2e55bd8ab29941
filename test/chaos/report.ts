import { median, quantile } from "../../bench/statistics.ts";
import type { Figures } from "./figures.ts";

const milliseconds = (value: number) => (value < 10 ? value.toFixed(1) : value.toFixed(0));

/** The figures of a run, for a terminal. */
export function figuresText(figures: Figures): string {
  const { histories, streams, messages, bytes, clean, resumptions } = figures;
  const failures = [...figures.failures].map(([failure, count]) => `${count} ${failure}`).join(", ");
  const lines = [
    `  ${histories} histories, ${streams} streams, ${messages} messages, ${(bytes / 1_048_576).toFixed(0)} MiB`,
    `  ${clean} streams ended well; others: ${failures || "none"}; ${resumptions} times resumed`,
  ];
  for (const [kind, count] of figures.faults) {
    const times = figures.returnsMs.get(kind) ?? [];
    const back = `first new byte after ${milliseconds(median(times))} ms, p99 ${milliseconds(quantile(times, 0.99))} ms`;
    lines.push(`  ${kind}: ${count} times${times.length > 0 ? `, ${back} (${times.length} samples)` : ""}`);
  }
  return lines.join("\n");
}
