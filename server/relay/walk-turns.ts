import type { Clock } from "../../stream/platform/clock.js";
import { Fifo } from "../../stream/platform/fifo.js";

/**
 * Time that walks over names may take in one turn of the event loop, so that everything else waits hardly longer for a
 * thousand walks than for one call.
 */
export const maxWalkMs = 5;
/** Names in one step of a walk. Walks take their steps in turn, so that a short one does not wait for long ones. */
export const namesPerStep = 32;

/**
 * A step of a walk. Returns whether the walk is over. It ends soon once `hasTime` says false, and never throws. It goes
 * on by one name at least.
 */
export type WalkStep = (hasTime: () => boolean) => boolean;

/** Spreads walks over names, which ask a policy about each, over turns of the event loop. */
export class WalkTurns {
  readonly #clock: Clock;
  readonly #waiting = new Fifo<WalkStep>();
  /** When the walks of this turn have to stop, in milliseconds of the clock; undefined if none has begun. */
  #untilMs: number | undefined;
  readonly #hasTime = () => this.#untilMs !== undefined && this.#clock.now() < this.#untilMs;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes the steps of a walk: at once as far as there is time in this turn, and the rest in later ones. */
  add(step: WalkStep): void {
    this.#waiting.push(step);
    this.#run();
  }

  #run(): void {
    if (this.#untilMs === undefined) {
      this.#untilMs = this.#clock.now() + maxWalkMs;
      setImmediate(() => {
        this.#untilMs = undefined;
        if (this.#waiting.length > 0) this.#run();
      });
    }
    while (this.#hasTime()) {
      const step = this.#waiting.shift();
      if (step === undefined) return;
      if (!step(this.#hasTime)) this.#waiting.push(step);
    }
  }
}
