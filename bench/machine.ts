import { cpus, loadavg, release, totalmem, type } from "node:os";

/** The place and the time of a run. */
export interface Machine {
  processor: string;
  cores: number;
  memoryGib: number;
  system: string;
  node: string;
  /** ISO 8601, to the day. */
  date: string;
  /** The load average of the minute before the run, to which the run itself adds nothing. */
  loadBefore: number;
}

const bytesPerGibibyte = 1_073_741_824;

export function thisMachine(): Machine {
  const processors = cpus();
  return {
    processor: processors[0]?.model ?? "unknown",
    cores: processors.length,
    memoryGib: Math.round(totalmem() / bytesPerGibibyte),
    system: `${type()} ${release()}`,
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
    loadBefore: loadavg()[0] ?? 0,
  };
}
