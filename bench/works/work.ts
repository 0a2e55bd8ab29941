import type { StreamContenderEntry } from "../contenders.ts";
import type { Values } from "../measurement.ts";
import type { Trio } from "../parties/trio.ts";
import type { Plan } from "../plan.ts";

/**
 * A kind of measurement, which is the same for every contender. It is of the processes of a contender: by default the
 * three of a stream.
 */
export interface Work<Processes = Trio, Entry = StreamContenderEntry> {
  name: string;
  /** Whether measurements share their processes, or each starts fresh ones, as works must that measure memory. */
  processes: "shared" | "fresh";
  /** Programs of Debian that the work runs. Default: none. */
  programs?: readonly string[];
  /** Whether the work measures a contender. Default: it measures all of them. */
  suits?(contender: Entry, plan: Plan): boolean;
  measure(processes: Processes, plan: Plan): Promise<Values>;
}
