import type { BenchStream } from "../contender.ts";
import { Question } from "./question.ts";

export interface PairingsResult {
  count: number;
  /** The time until the last stream was over at the client. */
  elapsedMs: number;
}

/**
 * Opens streams, `atOnce` of them at the same time. Each carries one message there and one back, and is closed. Closing
 * may overlap with the next opening, but it counts, because the time ends when the last stream is over.
 */
export async function pairings(
  open: () => Promise<BenchStream>,
  atOnce: number,
  durationMs: number,
): Promise<PairingsResult> {
  const startedMs = performance.now();
  const closings: Promise<void>[] = [];
  const openSome = async () => {
    while (performance.now() - startedMs < durationMs) {
      const question = new Question(await open());
      await question.echo();
      question.stream.end();
      closings.push(question.stream.closed);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, openSome));
  await Promise.all(closings);
  return { count: closings.length, elapsedMs: performance.now() - startedMs };
}
