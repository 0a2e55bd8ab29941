import type { Clock } from "../../stream/platform/clock.js";

interface Timer {
  atMs: number;
  keepsAlive: boolean;
  action: () => void;
}

/** Time that stands still until a test moves it. It is no whole number, as that of a platform is none. */
export class FakeClock implements Clock {
  #nowMs = 0.25;
  #timers: Timer[] = [];

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void, keepsAlive = true): () => void {
    const timer = { atMs: this.#nowMs + delayMs, action, keepsAlive };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** The number of timers that wait. */
  get timers(): number {
    return this.#timers.length;
  }

  /** Whether a process of Node waits for a timer. */
  get keepsAlive(): boolean {
    return this.#timers.some(({ keepsAlive }) => keepsAlive);
  }

  /** Moves time on, and runs what falls due in the order in which it does, timers included that this sets. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#due(untilMs); next !== undefined; next = this.#due(untilMs)) {
      const timer = next;
      this.#timers = this.#timers.filter((other) => other !== timer);
      this.#nowMs = Math.max(this.#nowMs, timer.atMs);
      timer.action();
    }
    this.#nowMs = untilMs;
  }

  /** Moves time on as a machine does that sleeps: what falls due meanwhile runs at the end. */
  sleep(ms: number): void {
    this.#nowMs += ms;
    this.advance(0);
  }

  #due(untilMs: number): Timer | undefined {
    let earliest: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= untilMs && (earliest === undefined || timer.atMs < earliest.atMs)) earliest = timer;
    }
    return earliest;
  }
}
