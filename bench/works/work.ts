import type { ContenderEntry } from "../contenders.ts";
import type { Values } from "../measurement.ts";
import type { Trio } from "../parties/trio.ts";
import type { Plan } from "../plan.ts";

/** A kind of measurement of three processes, which is the same for every contender. */
export interface Work {
  name: string;
  /** Whether measurements share their processes, or each starts fresh ones, as works must that measure memory. */
  processes: "shared" | "fresh";
  /** Whether the work measures a contender. Default: it measures all of them. */
  suits?(contender: ContenderEntry, plan: Plan): boolean;
  measure(trio: Trio, plan: Plan): Promise<Values>;
}
