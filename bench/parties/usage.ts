import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { PartyCalls, SettledMemory } from "./calls.ts";

const settleIntervalMs = 100;
const maxSettleIntervals = 20;
/** Memory counts as settled when it has changed by less than this. */
const maxChangeBytes = 131_072;

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function memory(): SettledMemory {
  const { rss, heapUsed, external } = process.memoryUsage();
  return { residentBytes: rss, heldBytes: heapUsed + external };
}

async function settledMemory(): Promise<SettledMemory> {
  setFlagsFromString("--expose-gc");
  const collect: (options: object) => void = runInNewContext("gc");
  let last = memory();
  for (let interval = 0; interval < maxSettleIntervals; interval += 1) {
    // Only this flavor returns empty pages of the heap. Pages that were kept would hide memory that is added later.
    collect({ type: "major", execution: "sync", flavor: "last-resort" });
    await sleep(settleIntervalMs);
    const now = memory();
    const changeBytes = Math.abs(now.residentBytes - last.residentBytes) + Math.abs(now.heldBytes - last.heldBytes);
    last = now;
    if (changeBytes < maxChangeBytes) break;
  }
  return last;
}

export const partyCalls: PartyCalls = { cpuMs, settledMemory };
