import type { ContenderEntry } from "../contenders.ts";
import type { Values } from "../measurement.ts";
import type { Trio } from "../parties/trio.ts";
import type { Plan } from "../plan.ts";

/** Something to measure of three processes. It knows no contender. */
export interface Work {
  name: string;
  /** Whether processes are kept from one measurement to the next, or new for each, where memory is measured. */
  processes: "shared" | "fresh";
  /** The contenders it is measured of. Default all. */
  suits?(contender: ContenderEntry, plan: Plan): boolean;
  measure(trio: Trio, plan: Plan): Promise<Values>;
}
