import type { StreamError } from "../stream/error/stream-error.js";
import type { Clock } from "../stream/platform/clock.js";
import type { Link } from "./link.js";

/** How often a relay says something, unless it says that it does so more or less often. */
export const defaultHeartbeatIntervalMs = 15_000;
/** The peer may miss two heartbeats and be half of one late. `LinkOpened.heartbeat_interval_ms`. */
export const heartbeatsUntilLost = 2.5;
/**
 * A timer that is later than this ran on a machine that slept, or in a tab that was frozen, and not just on a busy
 * machine.
 */
const asleepMs = 5_000;
/** The time to answer a ping. With a timer that is 2 s late, it is less than the 10 s that a woken tab may take. */
export const answerTimeoutMs = 7_000;
/** An answer may wait behind other packets if some came this lately. Packets that waited for the wake came earlier. */
const lateAnswerMs = 5_000;

/**
 * Like `clock.after`, but if the timer fires more than 5 s late (a sleeping machine, a throttled tab) the action is
 * postponed once by 7 s, because messages received during the sleep may be queued behind it. `onLate` is called before
 * the timer is set anew. No process stays alive for the timer.
 */
export function afterAwake(clock: Clock, delayMs: number, action: () => void, onLate = () => {}): () => void {
  const dueMs = clock.now() + delayMs;
  const onDue = () => {
    if (clock.now() - dueMs <= asleepMs) return action();
    onLate();
    stop = clock.after(answerTimeoutMs, action, false);
  };
  let stop = clock.after(delayMs, onDue, false);
  return () => stop();
}

/** The purpose of the timer: to look for silence since it was set, or for the answer to a ping. */
type Waiting = { kind: "for silence"; sinceMs: number } | { kind: "for an answer"; askedAgain: boolean };

/** Ends a link whose peer is silent. It ends by itself when the link does. */
export class LinkWatch {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #silence: () => StreamError;
  /**
   * A packet sets the timer anew, but not more often than this. In a hidden tab of Chromium timers that only timers
   * have set run once a minute. https://developer.chrome.com/blog/timer-throttling-in-chrome-88
   */
  readonly #renewalMs: number;
  #waiting: Waiting = { kind: "for silence", sinceMs: 0 };
  #heardMs: number;
  #stopTimer: () => void = () => {};
  /** How many bytes have been sent so far, and how many wait to be sent, where the pipe of the link knows. */
  outgoing = (): [sentBytes: number, waitingBytes: number] => [0, 0];

  /** `silence` makes the error with which a link ends whose peer is silent. */
  constructor(link: Link, clock: Clock, heartbeatIntervalMs: number, silence: () => StreamError) {
    this.#link = link;
    this.#silence = silence;
    this.#clock = clock;
    this.#limitMs = heartbeatsUntilLost * heartbeatIntervalMs;
    this.#renewalMs = heartbeatIntervalMs / 2;
    this.#heardMs = clock.now();
    this.#wait(this.#limitMs);
    void link.closed.then(() => this.#stopTimer());
  }

  /** Something came from the peer. */
  heard(): void {
    if (!this.#link.isOpen) return;
    const nowMs = this.#clock.now();
    this.#heardMs = nowMs;
    if (this.#waiting.kind === "for silence" && nowMs - this.#waiting.sinceMs >= this.#renewalMs) {
      this.#wait(this.#limitMs);
    }
  }

  /**
   * Asks whether the peer is still there, as after a sleep, and ends the link if no answer comes. Other things
   * that come are none: they may have been on their way before the connection broke.
   */
  ask(): void {
    if (!this.#link.isOpen) return;
    // Asking again and again does not postpone the answer.
    if (this.#waiting.kind === "for an answer") this.#waiting.askedAgain = true;
    else this.#ask();
  }

  #ask(): void {
    this.#waiting = { kind: "for an answer", askedAgain: false };
    this.#waitForAnswer();
    // The end of the link is an answer too.
    this.#link.ping().then(
      () => this.#answered(),
      () => {},
    );
  }

  #answered(): void {
    // The answer to a question from before a sleep may have waited since then.
    if (this.#waiting.kind === "for an answer" && this.#waiting.askedAgain) this.#ask();
    else this.#wait(this.#limitMs);
  }

  #waitForAnswer(): void {
    this.#stopTimer();
    let [beforeBytes] = this.outgoing();
    const look = () => {
      const [sentBytes, waitingBytes] = this.outgoing();
      // On a slow network the question itself may wait behind what was to be sent before.
      const isGettingOut = waitingBytes > 0 && sentBytes > beforeBytes;
      if (isGettingOut || this.#clock.now() - this.#heardMs < lateAnswerMs) this.#waitForAnswer();
      else this.#lost();
    };
    // Bytes that were sent before a sleep say nothing about the time after it.
    const onLate = () => {
      [beforeBytes] = this.outgoing();
    };
    this.#stopTimer = afterAwake(this.#clock, answerTimeoutMs, look, onLate);
  }

  #wait(delayMs: number): void {
    this.#stopTimer();
    const sinceMs = this.#clock.now();
    this.#waiting = { kind: "for silence", sinceMs };
    const onDue = () => {
      const nowMs = this.#clock.now();
      const leftMs = this.#heardMs + this.#limitMs - nowMs;
      if (leftMs > 0) this.#wait(leftMs);
      // Packets that came during the sleep may be queued behind this timer.
      else if (nowMs - sinceMs - delayMs > asleepMs) this.ask();
      else this.#lost();
    };
    // The link's connection keeps a process alive, as long as it is to.
    this.#stopTimer = this.#clock.after(delayMs, onDue, false);
  }

  #lost(): void {
    this.#link.close(this.#silence());
  }
}
