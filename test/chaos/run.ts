import type { Carrier } from "./carriers.ts";
import type { Figures } from "./figures.ts";
import { type History, historyText, randomHistory } from "./history/history.ts";
import { restOf } from "./network/networks.ts";
import { sharedRelay, tryHistory } from "./trial.ts";

export interface Failed {
  seed: number;
  history: History;
  problems: string[];
}

export interface RunOptions {
  seed: number;
  /** The number of histories. */
  histories: number;
  /** How many histories are played at once. */
  concurrency: number;
  /** The run starts no history any more once so many have failed. */
  maxFailures: number;
}

/** Histories on one shared relay; then it must be empty. */
const historiesPerRelay = 100;

/** Plays histories of one carrier, and resolves with those that failed. */
export async function runHistories(carrier: Carrier, options: RunOptions, figures: Figures): Promise<Failed[]> {
  const failed: Failed[] = [];
  for (let from = 0; from < options.histories; from += historiesPerRelay) {
    const seeds = Array.from(
      { length: Math.min(historiesPerRelay, options.histories - from) },
      (_, at) => options.seed + from + at,
    );
    await runBatch(carrier, seeds, options, figures, failed);
    if (failed.length >= options.maxFailures) break;
  }
  return failed;
}

async function runBatch(
  carrier: Carrier,
  seeds: number[],
  { concurrency, maxFailures }: RunOptions,
  figures: Figures,
  failed: Failed[],
): Promise<void> {
  const relay = await sharedRelay({ client: carrier });
  const [first = 0] = seeds;
  const left = seeds.values();
  const work = async () => {
    for (const seed of left) {
      if (failed.length >= maxFailures) return;
      const history = randomHistory(seed, carrier);
      const problems = await tryHistory(history, figures, relay);
      if (problems.length === 0) continue;
      failed.push({ seed, history, problems });
      console.log(`FAILED  ${carrier}, seed ${seed}\n  ${problems.join("\n  ")}\n  ${historyText(history)}`);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  const rest = await restOf(relay);
  const problems = [...relay.problems, ...rest];
  if (problems.length > 0) {
    const history = randomHistory(first, carrier);
    failed.push({ seed: first, history, problems });
    console.log(`FAILED  ${carrier}, after seeds from ${first} on\n  ${problems.join("\n  ")}`);
  }
  await relay.close();
}
