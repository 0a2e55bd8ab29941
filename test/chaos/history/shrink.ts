import { Figures } from "../figures.ts";
import { tryAlone } from "../trial.ts";
import type { History } from "./history.ts";

/** Timing differs from one play to the next, so a shorter history gets as many chances to fail. */
const chances = 3;
const timeLimitMs = 240_000;

/** Returns a shorter history that still fails, found by leaving out steps; the history itself if it fails no more. */
export async function shrink(history: History): Promise<History> {
  const deadlineMs = performance.now() + timeLimitMs;
  let shortest = history;
  for (let size = shortest.steps.length >> 1; size >= 1; ) {
    const candidates = withoutParts(shortest, size);
    const failing = await firstFailing(candidates);
    if (failing !== undefined) shortest = failing;
    if (performance.now() > deadlineMs) break;
    size = failing === undefined ? size >> 1 : Math.min(size, shortest.steps.length >> 1 || 1);
    if (failing !== undefined && shortest.steps.length === 0) break;
  }
  return shortest;
}

function withoutParts(history: History, size: number): History[] {
  const candidates: History[] = [];
  for (let at = 0; at < history.steps.length; at += size) {
    candidates.push({ ...history, steps: history.steps.toSpliced(at, size) });
  }
  return candidates;
}

/** Tries histories side by side, and returns the first of them that fails. */
async function firstFailing(candidates: History[]): Promise<History | undefined> {
  const outcomes = await Promise.all(
    candidates.map(async (history) => {
      for (let chance = 0; chance < chances; chance += 1) {
        if ((await tryAlone(history, new Figures())).length > 0) return history;
      }
      return undefined;
    }),
  );
  return outcomes.find((history) => history !== undefined);
}
