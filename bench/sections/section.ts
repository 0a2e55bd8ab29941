import type { Values } from "../measurement.ts";

/** One contender in one work. */
export interface Task {
  work: string;
  contender: string;
  measure(): Promise<Values>;
}

/** Tasks that are run in the same rounds. Whoever opens a section must close it. */
export interface Section {
  tasks: readonly Task[];
  rounds: number;
  /** Whether a round that does not count comes first, in which code is compiled. */
  warmsUp: boolean;
  close(): Promise<void>;
}

/** It starts nothing that can fail: that is part of the first task. */
export type SectionOpener = () => Section;
