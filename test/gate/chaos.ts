import { expectSuccess } from "./command.ts";
import type { Outcome } from "./step.ts";

/** Histories of each carrier: at 16 at once, all of them take half a minute. */
const histories = 20;
const timeoutMs = 180_000;

/** Nothing is lost in a few random histories. The output of a run that fails names its seed. */
export function checkChaos(): Promise<Outcome> {
  const args = ["test/chaos/main.ts", "--histories", String(histories), "--no-shrink"];
  return expectSuccess("node", args, { timeoutMs });
}
