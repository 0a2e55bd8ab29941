import type { Clock } from "../../../stream/platform/clock.js";
import type { Caller } from "../caller.js";
import { callerKey } from "../caller-key.js";
import { maxTimerMs, type RelayLimits } from "../limits.js";
import { maxRememberedCallers } from "./caller-rates.js";

/** Allows so many bytes in a second, and those of one second at once. A frame may be spent that is not earned yet. */
class ByteRate {
  readonly #clock: Clock;
  readonly #perSecond: number;
  #leftBytes: number;
  #filledMs: number;

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

/** The rates of one leg, which it shares with those that its endpoint and its caller had before. */
export interface LegRate {
  /** Counts bytes that have come on the leg. Returns the time after which more may follow, in milliseconds. */
  spend(bytes: number): number;
}

/** How fast legs may bring bytes: those of each endpoint of a stream, and all of one caller together. */
export class ByteRates {
  readonly #clock: Clock;
  readonly #perStream: number;
  readonly #perCaller: number;
  /** The rates of endpoints, which outlive their legs: one that attaches again goes on with what is left to it. */
  readonly #endpoints = new WeakMap<object, ByteRate>();
  /**
   * The rates of callers, by their keys, in the order in which they last opened legs. The first is forgotten when there
   * are too many, and may begin again.
   */
  readonly #callers = new Map<string, ByteRate>();

  constructor(clock: Clock, { maxBytesPerSecondPerStream, maxBytesPerSecondPerCaller }: RelayLimits) {
    this.#clock = clock;
    this.#perStream = maxBytesPerSecondPerStream;
    this.#perCaller = maxBytesPerSecondPerCaller;
  }

  /**
   * Returns the rates of a new leg of an endpoint, which is any object that stands for it on all its legs. Returns
   * undefined where none is limited, so that frames cost nothing.
   */
  ofLeg(caller: Caller, endpoint: object): LegRate | undefined {
    const ofEndpoint = this.#perStream === maxTimerMs ? undefined : this.#ofEndpoint(endpoint);
    const key = this.#perCaller === maxTimerMs ? undefined : callerKey(caller);
    const ofCaller = key === undefined ? undefined : this.#ofCaller(key);
    if (ofEndpoint === undefined || ofCaller === undefined) return ofEndpoint ?? ofCaller;
    return { spend: (bytes) => Math.max(ofEndpoint.spend(bytes), ofCaller.spend(bytes)) };
  }

  #ofEndpoint(endpoint: object): ByteRate {
    const rate = this.#endpoints.get(endpoint) ?? new ByteRate(this.#clock, this.#perStream);
    this.#endpoints.set(endpoint, rate);
    return rate;
  }

  #ofCaller(key: string): ByteRate {
    const rate = this.#callers.get(key) ?? new ByteRate(this.#clock, this.#perCaller);
    this.#callers.delete(key);
    this.#callers.set(key, rate);
    const [oldest] = this.#callers.keys();
    if (this.#callers.size > maxRememberedCallers && oldest !== undefined) this.#callers.delete(oldest);
    return rate;
  }
}
