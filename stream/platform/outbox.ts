/**
 * The events of one object for its application, in the order in which they were put in. Each has a turn of its own,
 * because a listener that throws ends the turn that it runs in.
 */
export class Outbox {
  readonly #events: (() => void)[] = [];

  /** Calls `tell` in a microtask, after all that were put in before. */
  put(tell: () => void): void {
    this.#events.push(tell);
    queueMicrotask(() => this.#events.shift()?.());
  }
}
