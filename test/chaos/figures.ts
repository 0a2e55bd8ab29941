import type { CutKind, RelayFault, SpellKind } from "./step.ts";

export type FaultKind = CutKind | SpellKind | RelayFault;

/** What the histories of a run add up to. */
export class Figures {
  readonly faults = new Map<FaultKind, number>();
  /** The times from the end of a fault to the first message written after it that arrived, in milliseconds. */
  readonly returnsMs = new Map<FaultKind, number[]>();
  histories = 0;
  streams = 0;
  messages = 0;
  bytes = 0;
  resumptions = 0;
  clean = 0;
  /** The streams that failed, by the failure. */
  readonly failures = new Map<string, number>();

  countFault(kind: FaultKind): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }

  countReturn(kind: FaultKind, ms: number): void {
    const times = this.returnsMs.get(kind) ?? [];
    times.push(ms);
    this.returnsMs.set(kind, times);
  }

  countFailure(failure: string): void {
    this.failures.set(failure, (this.failures.get(failure) ?? 0) + 1);
  }
}
