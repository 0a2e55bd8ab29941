import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { PartyCalls } from "./calls.ts";

const settleIntervalMs = 100;
const maxSettleIntervals = 20;
/** Memory counts as settled when it has changed by less than this. */
const maxChangeBytes = 131_072;

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

async function settledBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect: (options: object) => void = runInNewContext("gc");
  let last = Number.POSITIVE_INFINITY;
  for (let interval = 0; interval < maxSettleIntervals; interval += 1) {
    // This flavor also gives empty pages of the heap back, which would hide what is added to them later.
    collect({ type: "major", execution: "sync", flavor: "last-resort" });
    await sleep(settleIntervalMs);
    const bytes = process.memoryUsage.rss();
    if (Math.abs(last - bytes) < maxChangeBytes) return bytes;
    last = bytes;
  }
  return last;
}

export const partyCalls: PartyCalls = { cpuMs, settledBytes };
