import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import type { Clock } from "../stream/clock.js";
import { StreamError } from "../stream/stream-error.js";
import type { Link } from "./link.js";

/** The other side may miss two heartbeats, and be late. `LinkOpened.heartbeat_interval_ms`. */
export const heartbeatsUntilLost = 2.5;
/** A timer that is later than this was not on a busy machine, but on one that slept, or in a tab that was frozen. */
const asleepMs = 5_000;
/** What the other side gets to answer a question; together with a late timer, less than the 10 s a woken tab may take. */
const answerTimeoutMs = 7_000;
/** An answer may wait behind other things, if such came this lately. What waited for the wake came earlier. */
const lateAnswerMs = 5_000;

/**
 * Sets a timer that is excused once for being late, as in a hidden tab each one is that a timer set: what came during a sleep may
 * wait behind it. `onLate` is called before it is set anew.
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

/** What the timer is for: to look whether there was silence, since when it was set; or whether there was an answer. */
type Waiting = { kind: "for silence"; sinceMs: number } | { kind: "for an answer"; askedAgain: boolean };

/** Ends a link whose other side is silent. It ends by itself when the link does. */
export class LinkWatch {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #silence: () => StreamError;
  /**
   * What is heard sets the timer anew, but not more often. In a hidden tab of Chromium timers that only timers have set run once
   * a minute. https://developer.chrome.com/blog/timer-throttling-in-chrome-88
   */
  readonly #renewalMs: number;
  #waiting: Waiting = { kind: "for silence", sinceMs: 0 };
  #heardMs: number;
  #stopTimer: () => void = () => {};
  /** What has got out so far and what still waits to, where the carrier knows. */
  outgoing = (): [sentBytes: number, waitingBytes: number] => [0, 0];

  constructor(link: Link, clock: Clock, heartbeatIntervalMs: number, silence = peerSilent) {
    this.#link = link;
    this.#silence = silence;
    this.#clock = clock;
    this.#limitMs = heartbeatsUntilLost * heartbeatIntervalMs;
    this.#renewalMs = heartbeatIntervalMs / 2;
    this.#heardMs = clock.now();
    this.#wait(this.#limitMs);
    void link.closed.then(() => this.#stopTimer());
  }

  /** Something came from the other side. */
  heard(): void {
    if (!this.#link.isOpen) return;
    const nowMs = this.#clock.now();
    this.#heardMs = nowMs;
    if (this.#waiting.kind === "for silence" && nowMs - this.#waiting.sinceMs >= this.#renewalMs) {
      this.#wait(this.#limitMs);
    }
  }

  /**
   * Asks whether the other side is still there, as after a sleep, and ends the link if no answer comes. Other things that come
   * are none: they may have been on their way before the connection broke.
   */
  ask(): void {
    if (!this.#link.isOpen) return;
    // Whoever asks again and again is told no later.
    if (this.#waiting.kind === "for an answer") this.#waiting.askedAgain = true;
    else this.#ask();
  }

  #ask(): void {
    this.#waiting = { kind: "for an answer", askedAgain: false };
    this.#waitForAnswer();
    // What is asked on a link that ends is answered by its end.
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
    // What got out before a sleep tells nothing of after it.
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
      // What came during the sleep may wait behind this timer.
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

/** Why the relay ends a link. */
function peerSilent(): StreamError {
  return new StreamError("the other side of the link is silent", { failure: Failure.LEG_LOST });
}
