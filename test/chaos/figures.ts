import { Failure } from "browser-stream-server";
import type { CutKind, RelayFault, SpellKind } from "./history/step.ts";
import type { Side } from "./parties/side.ts";

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

  /** Counts a stream that is over for its two sides. */
  countStream(client: Side, listener: Side): void {
    this.streams += 1;
    for (const side of [client, listener]) {
      this.messages += side.received;
      this.bytes += side.peer.written.slice(0, side.received).reduce((sum, { bytes }) => sum + bytes, 0);
      this.resumptions += side.resumptions;
    }
    if (client.outcome.kind === "clean") this.clean += 1;
    if (client.outcome.kind !== "failed") return;
    const failure = Failure[client.outcome.error.failure];
    const opened = client.isOpened ? failure : `${failure} before it was open`;
    const end = client.hasReset || listener.hasReset ? "a reset" : opened;
    this.failures.set(end, (this.failures.get(end) ?? 0) + 1);
  }
}
