import { runGuard } from "../../../bench/guard.ts";
import { failed, type Outcome, passed } from "../step.ts";

/** The built package is as fast, beside a bare pipe of `node:http2`, as the bench has it on record. */
export async function checkSpeed(): Promise<Outcome> {
  const verdicts = await runGuard(() => {});
  const missed = verdicts.filter(({ isKept }) => !isKept);
  if (missed.length > 0) return failed(missed.map(({ text }) => text).join("\n"));
  return passed(verdicts.map(({ text }) => text).join("\n"));
}
