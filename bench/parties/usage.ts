import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { PartyCalls, Usage } from "./calls.ts";

const settleIntervalMs = 100;
const maxSettleIntervals = 20;
/** Memory counts as settled when it has changed by less than this. */
const settledBytes = 131_072;

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuMs: (user + system) / 1000, residentBytes: process.memoryUsage.rss() };
}

async function settledUsage(): Promise<Usage> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  let last = Number.POSITIVE_INFINITY;
  for (let interval = 0; interval < maxSettleIntervals; interval += 1) {
    collect();
    await sleep(settleIntervalMs);
    const { residentBytes } = usage();
    if (Math.abs(last - residentBytes) < settledBytes) break;
    last = residentBytes;
  }
  return usage();
}

export const partyCalls: PartyCalls = { usage, settledUsage };
