import type { BenchStream } from "../contender.ts";
import { Question } from "./question.ts";

export interface PairingsResult {
  count: number;
  /** Until the last of them was closed. */
  elapsedMs: number;
}

/**
 * Opens streams, a number of them at once, each for one message there and back, and closes them. Closing may overlap
 * with the next opening, but counts: the time ends when the last stream is over.
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
