import type { Clock } from "../../stream/platform/clock.js";

/** The time by which an answer has to be read to its end. Its owner cancels it when the call is over. */
export class AnswerDeadline {
  readonly #clock: Clock;
  readonly #onLate: () => void;
  #due: { untilMs: number; cancel: () => void } | undefined;

  constructor(clock: Clock, onLate: () => void) {
    this.#clock = clock;
    this.#onLate = onLate;
  }

  /** Of several times the earliest counts. */
  expect(timeoutMs: number): void {
    const untilMs = this.#clock.now() + timeoutMs;
    if (this.#due !== undefined && this.#due.untilMs <= untilMs) return;
    this.cancel();
    this.#due = { untilMs, cancel: this.#clock.after(timeoutMs, this.#onLate) };
  }

  cancel(): void {
    this.#due?.cancel();
  }
}
