import type { Clock } from "../../stream/platform/clock.js";

/** Calls that live this long are at most one in a second, however often they break. */
const minLifeMs = 1_000;

/**
 * Counts the calls in a row that got through and broke at once, without having brought anything, as behind a proxy that
 * ends each call, or at a relay that dies of what it is sent. Their backoff grows as if they had not got through.
 */
export class EarlyBreaks {
  readonly #clock: Clock;
  #openedMs = Number.NEGATIVE_INFINITY;
  #progress = 0;
  /** The number of early breaks in a row, up to now. */
  count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A call got through that takes the place of one that broke. `progress` grows with all that calls bring. */
  opened(progress = 0): void {
    this.#openedMs = this.#clock.now();
    this.#progress = progress;
  }

  /** The call broke. */
  broke(progress = 0): void {
    const isEarly = this.#clock.now() - this.#openedMs < minLifeMs && progress === this.#progress;
    this.count = isEarly ? this.count + 1 : 0;
  }
}
