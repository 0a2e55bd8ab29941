import type { Clock } from "../../../stream/platform/clock.js";
import { TokenBucket, type TokenBucketInit } from "./token-bucket.js";

/**
 * Callers whose rates are remembered. The one that called least recently is forgotten, and may begin again. Each takes
 * about 200 bytes, so all of them take 2 MB.
 */
export const maxRememberedCallers = 10_000;

/** How often each caller does something, by its key. */
export class CallerRates {
  readonly #clock: Clock;
  readonly #init: TokenBucketInit;
  /** The callers in the order of their last calls. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(clock: Clock, init: TokenBucketInit) {
    this.#clock = clock;
    this.#init = init;
  }

  /** Counts it once more. Returns false if there were too many. */
  take(key: string): boolean {
    return this.#bucketOf(key).take();
  }

  /** The time until a caller may do it again, in milliseconds. */
  waitMs(key: string): number {
    return this.#buckets.get(key)?.waitMs ?? 0;
  }

  #bucketOf(key: string): TokenBucket {
    const bucket = this.#buckets.get(key) ?? new TokenBucket(this.#clock, this.#init);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > maxRememberedCallers && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}
