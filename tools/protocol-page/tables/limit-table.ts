import { fixedDeadlines, relayDeadlines } from "./deadline-limits.js";
import { fixedSizes } from "./fixed-sizes.js";
import { limitTable } from "./limit-row.js";
import { relaySizes } from "./relay-sizes.js";

export function sizeTable(): string {
  return limitTable(relaySizes, fixedSizes);
}

export function deadlineTable(): string {
  return limitTable(relayDeadlines, fixedDeadlines);
}
