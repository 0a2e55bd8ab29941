import { defaultLimits } from "../../server/relay/limits.js";
import { fixedDeadlines, relayDeadlines } from "./deadline-limits.js";
import { limitTable } from "./limit-row.js";
import { fixedSizes, relaySizes } from "./size-limits.js";

export function sizeTable(): string {
  return limitTable(relaySizes, fixedSizes);
}

export function deadlineTable(): string {
  return limitTable(relayDeadlines, fixedDeadlines);
}

/** The limits of the relay that no row tells of. */
export const untoldLimits = Object.keys(defaultLimits).filter((key) => !(key in relaySizes || key in relayDeadlines));
