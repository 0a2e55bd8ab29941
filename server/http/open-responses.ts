import type { Clock } from "../../stream/platform/clock.js";
import { AnswerDeadline } from "./answer-deadline.js";
import type { NodeResponse } from "./node-server.js";

/** A peer has this long to read the end of a response before it is cut off. */
export const closeTimeoutMs = 5_000;

/**
 * An answer, and the last bytes of a leg, are read within this time: 1,000 names of 256 bytes at 4 KB/s. A request that
 * is open still ends within it.
 */
export const answerTimeoutMs = 60_000;

/** The open responses, and the deadlines of responses that should end. */
export class OpenResponses {
  readonly #clock: Clock;
  readonly #deadlines = new Map<NodeResponse, AnswerDeadline>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(response: NodeResponse): void {
    this.#deadlines.set(response, new AnswerDeadline(this.#clock, () => response.destroy()));
    response.on("close", () => {
      this.#deadlines.get(response)?.cancel();
      this.#deadlines.delete(response);
    });
  }

  /**
   * Calls `act` when the peer has taken a response to its end, though its request may still be open, and again when the
   * response closes; once, and now, for a response that has closed.
   */
  onEnd(response: NodeResponse, act: () => void): void {
    if (!this.#deadlines.has(response)) return act();
    // The response objects of HTTP/2 say "finish" no sooner than "close".
    const body = "stream" in response ? response.stream : response;
    body.once("finish", act);
    response.once("close", act);
  }

  /**
   * Marks the call as over. Its response is destroyed after `timeoutMs`, default {@link closeTimeoutMs}, unless the
   * peer has read it to the end, because a peer that does not read would keep the response and its buffer for good. The
   * earliest deadline of a response counts.
   */
  expectEnd(response: NodeResponse, timeoutMs = closeTimeoutMs): void {
    this.#deadlines.get(response)?.expect(timeoutMs);
  }

  /** Expects the end of all open responses. */
  close(): void {
    for (const response of this.#deadlines.keys()) this.expectEnd(response);
  }
}
