import type { CpuTimes } from "./parties/trio.ts";
import type { FlowResult } from "./traffic/question.ts";

/** The results of one measurement, by the names of the work's figures. */
export type Values = Readonly<Record<string, number>>;

/** The failure of a work that had measured some of its figures. */
export class PartialFailure extends Error {
  readonly values: Values;

  constructor(message: string, values: Values, cause: unknown) {
    super(`${message}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    this.values = values;
  }
}

/** One measurement of one contender in one round. */
export interface Sample {
  work: string;
  contender: string;
  round: number;
  values: Values;
}

const bytesPerMegabyte = 1_000_000;
const bytesPerGibibyte = 1_073_741_824;
export const bytesPerKibibyte = 1_024;
export const bytesPerMebibyte = 1_048_576;

/** The part of a flow that counts. Before it the buffers fill, and after it they empty. */
export interface Window {
  fromMs: number;
  toMs: number;
}

/** The bytes per ms that arrived within a window, from the first reply in it to the last. */
export function flowRate(flow: FlowResult, { fromMs, toMs }: Window): number {
  const { startedMs, unitBytes, repliesMs } = flow;
  const inWindow = repliesMs.filter((ms) => ms - startedMs >= fromMs && ms - startedMs <= toMs);
  const elapsedMs = (inWindow.at(-1) ?? 0) - (inWindow[0] ?? 0);
  // Replies that cover less than half of the window came in a burst, and say nothing about the rate.
  if (elapsedMs >= (toMs - fromMs) / 2) return (unitBytes * (inWindow.length - 1)) / elapsedMs;
  return flowBytes(flow) / ((repliesMs.at(-1) ?? Number.POSITIVE_INFINITY) - startedMs);
}

export const flowBytes = ({ unitBytes, repliesMs }: FlowResult): number => unitBytes * repliesMs.length;

export const megabytesPerS = (bytesPerMs: number): number => (bytesPerMs * 1_000) / bytesPerMegabyte;

/** The CPU seconds for each GiB, of the relay and of all three processes. */
export function cpuPerGibibyte({ relay, listener, client }: CpuTimes, bytes: number): { relay: number; all: number } {
  const perGibibyte = (cpuMs: number) => (cpuMs / 1_000) * (bytesPerGibibyte / bytes);
  return { relay: perGibibyte(relay), all: perGibibyte(relay + listener + client) };
}
