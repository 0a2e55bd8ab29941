import type { Clock } from "../../stream/platform/clock.js";
import type { Caller } from "./caller.js";
import { callerKey } from "./caller-key.js";
import { maxTimerMs, type RelayLimits } from "./limits.js";

/** Allows so many bytes in a second, and those of one second at once. A frame may be spent that is not earned yet. */
class ByteRate {
  readonly #clock: Clock;
  readonly #perSecond: number;
  #leftBytes: number;
  #filledMs: number;
  /** The legs that share the rate. */
  users = 0;

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#leftBytes = perSecond;
    this.#filledMs = clock.now();
  }

  /** Returns the time after which more may follow, in milliseconds. */
  spend(bytes: number): number {
    const nowMs = this.#clock.now();
    const earned = ((nowMs - this.#filledMs) / 1_000) * this.#perSecond;
    this.#filledMs = nowMs;
    this.#leftBytes = Math.min(this.#perSecond, this.#leftBytes + earned) - bytes;
    return this.#leftBytes >= 0 ? 0 : Math.ceil((-this.#leftBytes / this.#perSecond) * 1_000);
  }
}

/** The rates of one leg. Its owner releases it, once or more often. */
export interface LegRate {
  /** Counts bytes that have come on the leg. Returns the time after which more may follow, in milliseconds. */
  spend(bytes: number): number;
  release(): void;
}

/** How fast legs may bring bytes: each of them, and all of one caller together. */
export class ByteRates {
  readonly #clock: Clock;
  readonly #perLeg: number;
  readonly #perCaller: number;
  /** The rates of callers with legs, by their keys. */
  readonly #callers = new Map<string, ByteRate>();

  constructor(clock: Clock, { maxBytesPerSecondPerStream, maxBytesPerSecondPerCaller }: RelayLimits) {
    this.#clock = clock;
    this.#perLeg = maxBytesPerSecondPerStream;
    this.#perCaller = maxBytesPerSecondPerCaller;
  }

  /** Returns the rates of a new leg. Returns undefined where none is limited, so that frames cost nothing. */
  ofLeg(caller: Caller): LegRate | undefined {
    const ofLeg = this.#perLeg === maxTimerMs ? undefined : new ByteRate(this.#clock, this.#perLeg);
    const key = this.#perCaller === maxTimerMs ? undefined : callerKey(caller);
    if (ofLeg === undefined && key === undefined) return undefined;
    const ofCaller = key === undefined ? undefined : this.#join(key);
    let release = () => {
      release = () => {};
      if (key !== undefined && ofCaller !== undefined) this.#leave(key, ofCaller);
    };
    return {
      spend: (bytes) => Math.max(ofLeg?.spend(bytes) ?? 0, ofCaller?.spend(bytes) ?? 0),
      release: () => release(),
    };
  }

  #join(key: string): ByteRate {
    const rate = this.#callers.get(key) ?? new ByteRate(this.#clock, this.#perCaller);
    this.#callers.set(key, rate);
    rate.users += 1;
    return rate;
  }

  #leave(key: string, rate: ByteRate): void {
    rate.users -= 1;
    if (rate.users === 0) this.#callers.delete(key);
  }
}
