const firstDelayMs = 500;
const maxDelayMs = 15_000;
/** At 15 s each this is two hours in which the page was awake. */
const maxTries = 480;

/**
 * Repeats an action at growing intervals: 0.5 s at first, doubled up to 15 s, each shortened at random by up to half,
 * so that the guests of one room do not all come back in the same moment. The page's return from the background, and a
 * network's, bring the next try forward.
 */
export class Backoff {
  readonly #action: () => void;
  readonly #events = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #tries = 0;

  constructor(action: () => void) {
    this.#action = action;
    const { signal } = this.#events;
    addEventListener("online", () => this.#hurry(), { signal });
    addEventListener("pageshow", () => this.#hurry(), { signal });
    document.addEventListener("resume", () => this.#hurry(), { signal });
    document.addEventListener("visibilitychange", () => !document.hidden && this.#hurry(), { signal });
  }

  /** Sets the next try. Returns false, and sets none, after two hours of tries. */
  next(): boolean {
    this.pause();
    if (this.#tries >= maxTries) return false;
    const delayMs = Math.min(firstDelayMs * 2 ** this.#tries, maxDelayMs);
    this.#tries += 1;
    this.#timer = setTimeout(() => this.#run(), delayMs * (1 - Math.random() / 2));
    return true;
  }

  /** Withdraws the next try. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Begins with short intervals again. */
  reset(): void {
    this.pause();
    this.#tries = 0;
  }

  stop(): void {
    this.pause();
    this.#events.abort();
  }

  #hurry(): void {
    if (this.#timer !== undefined) this.#run();
  }

  #run(): void {
    this.pause();
    this.#action();
  }
}
