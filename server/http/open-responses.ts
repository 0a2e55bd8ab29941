import type { Clock } from "../../stream/clock.js";
import type { NodeResponse } from "./node-server.js";

/** What a peer gets to take the relay's last words, before it is cut off. */
export const closeTimeoutMs = 5_000;

/** The responses that are not at their end, and the deadlines of those that should be. */
export class OpenResponses {
  readonly #clock: Clock;
  readonly #deadlines = new Map<NodeResponse, { cancel(): void } | undefined>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(response: NodeResponse): void {
    this.#deadlines.set(response, undefined);
    response.once("close", () => {
      this.#deadlines.get(response)?.cancel();
      this.#deadlines.delete(response);
    });
  }

  /**
   * What the response is about is over. It goes on until it was read to its end; a peer that does not read it would keep it for
   * good, and what waits in it, so it is cut off.
   */
  expectEnd(response: NodeResponse): void {
    if (!this.#deadlines.has(response) || this.#deadlines.get(response) !== undefined) return;
    this.#deadlines.set(response, { cancel: this.#clock.after(closeTimeoutMs, () => response.destroy()) });
  }

  /** All of them are over. */
  close(): void {
    for (const response of this.#deadlines.keys()) this.expectEnd(response);
  }
}
