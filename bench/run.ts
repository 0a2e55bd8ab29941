import { PartialFailure, type Sample } from "./measurement.ts";
import type { Section, SectionOpener, Task } from "./sections/section.ts";

export interface Failed {
  work: string;
  contender: string;
  reason: string;
}

export interface RunResult {
  samples: Sample[];
  /** Tasks that threw. They are not tried again. */
  failed: Failed[];
}

/** Orders the tasks of a round. Each round begins with another contender, so that none is always first or last. */
function inTurn(tasks: readonly Task[], round: number): Task[] {
  return [...new Set(tasks.map(({ work }) => work))].flatMap((name) => {
    const group = tasks.filter(({ work }) => work === name);
    const first = round % group.length;
    return [...group.slice(first), ...group.slice(0, first)];
  });
}

async function runSection({ tasks, rounds, warmsUp }: Section, result: RunResult, log: (line: string) => void) {
  const isFailed = ({ work, contender }: Task) =>
    result.failed.some((each) => each.work === work && each.contender === contender);
  for (let round = warmsUp ? -1 : 0; round < rounds; round += 1) {
    for (const task of inTurn(tasks, Math.max(round, 0)).filter((each) => !isFailed(each))) {
      const { work, contender } = task;
      try {
        const values = await task.measure();
        if (round >= 0) result.samples.push({ work, contender, round, values });
        log(`${round < 0 ? "warm-up" : `round ${round + 1}`}  ${work}  ${contender}  ${printed(values)}`);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        result.failed.push({ work, contender, reason });
        if (error instanceof PartialFailure) result.samples.push({ work, contender, round, values: error.values });
        log(`FAILED  ${work}  ${contender}  ${reason}`);
      }
    }
  }
}

const printed = (values: object) =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${Number((value as number).toPrecision(3))}`)
    .join(", ");

/**
 * Runs sections one after the other, and each of them round by round. Never rejects because of a contender. Calls
 * `onSection` after each section with the results so far.
 */
export async function run(
  openers: readonly SectionOpener[],
  log: (line: string) => void,
  onSection: (result: RunResult) => void,
): Promise<RunResult> {
  const result: RunResult = { samples: [], failed: [] };
  for (const open of openers) {
    const section = open();
    try {
      await runSection(section, result, log);
    } finally {
      await section.close();
    }
    onSection(result);
  }
  return result;
}
