import type { Clock } from "../../../stream/platform/clock.js";

export interface TokenBucketInit {
  /** How many tokens the bucket holds, and has at first. */
  burst: number;
  /** How many tokens come in each second. */
  perSecond: number;
}

/** Allows something so often at once, and so often in a second in the long run. It has no timer. */
export class TokenBucket {
  readonly #clock: Clock;
  readonly #init: TokenBucketInit;
  #tokens: number;
  #filledMs: number;

  constructor(clock: Clock, init: TokenBucketInit) {
    this.#clock = clock;
    this.#init = init;
    this.#tokens = init.burst;
    this.#filledMs = clock.now();
  }

  /** Takes a token. Returns false if there is none. `earned` tells how many came beside those of the time. */
  take(earned: () => number = () => 0): boolean {
    if (this.#tokens < 1) this.#fill(earned());
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** The time until there is a token, in milliseconds. */
  get waitMs(): number {
    if (this.#tokens < 1) this.#fill(0);
    return this.#tokens < 1 ? Math.ceil(((1 - this.#tokens) / this.#init.perSecond) * 1_000) : 0;
  }

  /** The clock is read only when the bucket is empty, so that a token costs a subtraction. */
  #fill(earned: number): void {
    const { burst, perSecond } = this.#init;
    const nowMs = this.#clock.now();
    const came = ((nowMs - this.#filledMs) / 1_000) * perSecond + earned;
    this.#tokens = Math.min(burst, this.#tokens + came);
    this.#filledMs = nowMs;
  }
}
