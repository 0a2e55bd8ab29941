import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Clock } from "../../../stream/platform/clock.js";
import { maxTimerMs, type RelayLimits } from "../../admission/limits.js";
import type { Splice } from "./splice.js";

/** The longest interval between two looks. Looking at 10,000 streams takes a millisecond. */
const maxLookIntervalMs = 60_000;

export interface StreamExpiryInit {
  limits: Pick<RelayLimits, "maxStreamAgeMs" | "maxStreamIdleMs">;
  clock: Clock;
  /** The streams that there are. */
  streams: () => Iterable<Splice>;
}

/**
 * Ends streams that are too old, and accepted streams on which nothing has come for too long. It looks at all streams
 * at intervals of a tenth of the shorter time, because a timer that each frame sets anew costs as much as the frame.
 */
export class StreamExpiry {
  readonly #init: StreamExpiryInit;
  readonly #intervalMs: number;
  /** The bytes that a stream had when it was looked at, and since when it has had no more. */
  readonly #seen = new WeakMap<Splice, { bytes: number; sinceMs: number }>();
  #state: { kind: "idle" } | { kind: "looking"; cancelLook: () => void } = { kind: "idle" };

  constructor(init: StreamExpiryInit) {
    const { maxStreamAgeMs, maxStreamIdleMs } = init.limits;
    this.#init = init;
    this.#intervalMs = Math.min(maxLookIntervalMs, Math.ceil(Math.min(maxStreamAgeMs, maxStreamIdleMs) / 10));
  }

  /** A stream has come. Does nothing while no limit is set. */
  start(): void {
    const { maxStreamAgeMs, maxStreamIdleMs } = this.#init.limits;
    if (this.#state.kind === "looking" || Math.min(maxStreamAgeMs, maxStreamIdleMs) === maxTimerMs) return;
    this.#state = { kind: "looking", cancelLook: this.#init.clock.after(this.#intervalMs, () => this.#look()) };
  }

  /** No stream is left. */
  stop(): void {
    if (this.#state.kind === "looking") this.#state.cancelLook();
    this.#state = { kind: "idle" };
  }

  #look(): void {
    this.#state = { kind: "idle" };
    let isAnyLeft = false;
    for (const splice of [...this.#init.streams()]) {
      const error = this.#expiryOf(splice);
      if (error === undefined) isAnyLeft = true;
      else splice.close(error);
    }
    if (isAnyLeft) this.start();
  }

  #expiryOf(splice: Splice): StreamError | undefined {
    const { limits, clock } = this.#init;
    if (splice.ageMs >= limits.maxStreamAgeMs) return expiredError("maxStreamAgeMs", limits, "is older than");
    // An offer has a deadline of its own.
    if (splice.kind === "unoffered" || splice.kind === "offered") return undefined;
    const bytes = splice.client.bytes + splice.listener.bytes;
    const seen = this.#seen.get(splice);
    if (seen?.bytes !== bytes) this.#seen.set(splice, { bytes, sinceMs: clock.now() });
    else if (clock.now() - seen.sinceMs >= limits.maxStreamIdleMs) {
      return expiredError("maxStreamIdleMs", limits, "has been silent for");
    }
    return undefined;
  }
}

function expiredError(
  name: "maxStreamAgeMs" | "maxStreamIdleMs",
  { [name]: value }: StreamExpiryInit["limits"],
  words: string,
): StreamError {
  const limit = { name, value, retryAfterMs: 0 };
  return new StreamError(`the stream ${words} ${value} ms`, { failure: Failure.LIMIT_REACHED, limit });
}
