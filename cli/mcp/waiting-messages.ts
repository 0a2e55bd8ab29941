import { systemClock } from "../../stream/platform/system-clock.js";
import type { JsonRpcText } from "./mcp-tab.js";

/** The messages of a client for a tab that is away, in their order. Each waits for a while. */
export class WaitingMessages {
  readonly #waitMs: number;
  readonly #onLate: (given: JsonRpcText) => void;
  /** The messages, each with what cancels its deadline. */
  readonly #messages = new Map<JsonRpcText, () => void>();

  /** `onLate` gets a message that has waited for too long, and waits no more. */
  constructor(waitMs: number, onLate: (given: JsonRpcText) => void) {
    this.#waitMs = waitMs;
    this.#onLate = onLate;
  }

  get size(): number {
    return this.#messages.size;
  }

  has(given: JsonRpcText): boolean {
    return this.#messages.has(given);
  }

  push(given: JsonRpcText, waitMs = this.#waitMs): void {
    const onLate = () => {
      if (this.#take(given)) this.#onLate(given);
    };
    this.#messages.set(given, systemClock.after(waitMs, onLate, false));
  }

  /** Puts messages before the others. */
  unshift(messages: readonly JsonRpcText[]): void {
    const others = [...this.#messages];
    this.#messages.clear();
    for (const given of messages) this.push(given);
    for (const [other, cancelDeadline] of others) this.#messages.set(other, cancelDeadline);
  }

  shift(): JsonRpcText | undefined {
    const [first] = this.#messages.keys();
    if (first !== undefined) this.#take(first);
    return first;
  }

  #take(given: JsonRpcText): boolean {
    this.#messages.get(given)?.();
    return this.#messages.delete(given);
  }
}
