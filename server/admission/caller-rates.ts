import type { Clock } from "../../stream/platform/clock.js";
import { TokenBucket } from "./token-bucket.js";

/**
 * Callers whose rates are remembered. The one that called least recently is forgotten, and may begin again. Each takes
 * about 200 bytes, so all of them take 2 MB.
 */
export const maxRememberedCallers = 10_000;
/** A caller that was quiet may make the calls of so many seconds at once, as a page does that is loaded. */
export const burstSeconds = 10;

/** How often each caller calls, by its key. */
export class CallerRates {
  readonly #clock: Clock;
  readonly #perSecond: number;
  /** The callers in the order of their last calls. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perSecond = perSecond;
  }

  /** Counts a call. Returns false if there were too many. */
  take(key: string): boolean {
    return this.#bucketOf(key).take();
  }

  /** The time until a caller may call, in milliseconds. */
  waitMs(key: string): number {
    return this.#buckets.get(key)?.waitMs ?? 0;
  }

  #bucketOf(key: string): TokenBucket {
    const perSecond = this.#perSecond;
    const bucket =
      this.#buckets.get(key) ?? new TokenBucket(this.#clock, { burst: burstSeconds * perSecond, perSecond });
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > maxRememberedCallers && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}
