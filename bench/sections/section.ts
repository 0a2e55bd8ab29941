import type { Values } from "../measurement.ts";

/** One contender in one work. */
export interface Task {
  work: string;
  contender: string;
  measure(): Promise<Values>;
}

/** Tasks that are run in the same rounds. The opener of a section must close it. */
export interface Section {
  tasks: readonly Task[];
  rounds: number;
  /** Whether the first round does not count, because code is compiled in it. */
  warmsUp: boolean;
  close(): Promise<void>;
}

/** Opens a section without starting processes. The first task starts them, so that a failure is the task's. */
export type SectionOpener = () => Section;
