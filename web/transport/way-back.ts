import type { Transport } from "@connectrpc/connect";
import type { Clock } from "../../stream/platform/clock.js";
import { followPage } from "../page/page-life.js";

/** The longest first wait. It is doubled with each attempt that failed, and most breaks are over by then. */
export const minBackoffMs = 100;
/** The longest wait: a relay that was away is found again within 5 s, at a cost of one attempt in 2.5 s on average. */
export const maxBackoffMs = 5_000;

/** A first attempt may hang in a network that is about to come back, but a slow one has to get through as well. */
const minAttemptTimeoutMs = 4_000;
/** The relay has this long to answer a first call, and the last ones of many attempts. */
export const maxAttemptTimeoutMs = 20_000;

/** The time that an attempt has to be answered, by the number of those that failed before. */
export function attemptTimeoutMs(failedAttempts: number): number {
  return Math.min(minAttemptTimeoutMs * 2 ** failedAttempts, maxAttemptTimeoutMs);
}

interface Wait {
  /**
   * No call that gets through ends the wait earlier, so that calls that break at once cannot wake each other in turns.
   */
  earliestMs: number;
  /** Makes the attempt so long from now. A timer of a hidden page may be a second late, so none is set for 0. */
  attemptIn(delayMs: number): void;
  leave(): void;
}

interface WaitOptions {
  onLeave?: () => void;
  keepsAlive?: boolean;
  earlyBreaks?: number;
}

/**
 * The waits before calls over one transport are tried again, after a connection broke: backoff with full jitter from
 * 100 ms to 5 s, which ends early when there is a sign that the relay can be reached.
 *
 * @example
 * const wayBack = wayBackOf(transport, clock);
 * const stopWaiting = wayBack.wait(failedAttempts, () => attach());
 * // When a call over the transport was answered:
 * wayBack.gotThrough();
 */
export class WayBack {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #waits = new Set<Wait>();
  #stopFollowing = () => {};

  /** `random` returns a number of at least 0 and less than 1. */
  constructor(clock: Clock, random: () => number = Math.random) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Calls `attempt` once, which must not throw: when the backoff is over, or earlier when the page wakes or has another
   * network, or when another call got through.
   *
   * - `failedAttempts`: the number of attempts that failed since the break, which begins with 0.
   * - `onLeave`: called in place of `attempt` when the page is left, after which nothing waits. Default: the wait goes
   *   on.
   * - `keepsAlive`: whether a process of Node waits for it. Default true.
   * - `earlyBreaks`: the number of calls in a row that got through and broke at once, which begins with 0. Default 0.
   * - The returned function calls the attempt off, and may be called at any time.
   */
  wait(
    failedAttempts: number,
    attempt: () => void,
    { onLeave, keepsAlive = true, earlyBreaks = 0 }: WaitOptions = {},
  ): () => void {
    let stopTimer = () => {};
    const stop = () => {
      stopTimer();
      if (this.#waits.delete(wait) && this.#waits.size === 0) this.#stopFollowing();
    };
    const end = () => {
      stop();
      attempt();
    };
    const attemptIn = (delayMs: number) => {
      stopTimer();
      if (delayMs <= 0) end();
      else stopTimer = this.#clock.after(delayMs, end, keepsAlive);
    };
    const jitter = this.#random();
    const leave = () => {
      if (onLeave === undefined) return;
      stop();
      onLeave();
    };
    const backoffMs = (times: number) => jitter * Math.min(minBackoffMs * 2 ** times, maxBackoffMs);
    const wait: Wait = { earliestMs: this.#clock.now() + backoffMs(earlyBreaks), attemptIn, leave };
    if (this.#waits.size === 0) {
      this.#stopFollowing = followPage({
        onLeave: () => this.#leaveAll(),
        onShow() {},
        onWake: () => this.#attemptAll(() => 0),
      });
    }
    this.#waits.add(wait);
    // At least a timer, so that a caller that tries again in `attempt` cannot recurse.
    attemptIn(Math.max(1, backoffMs(failedAttempts + earlyBreaks)));
    return stop;
  }

  /** A call over the transport was answered: all attempts that wait are made. */
  gotThrough(): void {
    if (this.#waits.size === 0) return;
    const nowMs = this.#clock.now();
    this.#attemptAll(({ earliestMs }) => earliestMs - nowMs);
  }

  /** An attempt may wait again, or call others off. */
  #attemptAll(delayMs: (wait: Wait) => number): void {
    for (const wait of [...this.#waits]) if (this.#waits.has(wait)) wait.attemptIn(delayMs(wait));
  }

  #leaveAll(): void {
    for (const wait of [...this.#waits]) if (this.#waits.has(wait)) wait.leave();
  }
}

const wayBackByTransport = new WeakMap<Transport, WayBack>();

/** The waits of all calls over a transport, which wake each other. */
export function wayBackOf(transport: Transport, clock: Clock): WayBack {
  const known = wayBackByTransport.get(transport);
  if (known !== undefined) return known;
  const wayBack = new WayBack(clock);
  wayBackByTransport.set(transport, wayBack);
  return wayBack;
}
