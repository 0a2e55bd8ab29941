import { Fifo } from "../platform/fifo.js";
import type { Frame } from "./frame.js";

/**
 * The frames that a leg has carried and the peer has not acknowledged, in the order of their numbers, which leave no
 * gap. The frames are kept as they were made, with the application's own memory: nothing is copied.
 */
export class KeptFrames {
  readonly #frames = new Fifo<Frame>();
  /** The costs beside the frames: a message whose memory was transferred away does not tell its length any more. */
  readonly #costs = new Fifo<number>();
  #costBytes = 0;

  /** The cost of the messages in the kept frames. */
  get costBytes(): number {
    return this.#costBytes;
  }

  keep(frame: Frame, costBytes: number): void {
    this.#frames.push(frame);
    this.#costs.push(costBytes);
    this.#costBytes += costBytes;
  }

  /** Returns the kept frame with this number. */
  get(sequence: number): Frame | undefined {
    const first = this.#frames.peek();
    return first === undefined ? undefined : this.#frames.at(sequence - first.sequence);
  }

  /** Forgets the frames up to `sequence`. Returns the number of messages that end in them. */
  release(sequence: number): number {
    let messages = 0;
    for (
      let first = this.#frames.peek();
      first !== undefined && first.sequence <= sequence;
      first = this.#frames.peek()
    ) {
      for (const { more } of first.messages) if (!more) messages += 1;
      this.#frames.shift();
      this.#costBytes -= this.#costs.shift() ?? 0;
    }
    return messages;
  }

  clear(): void {
    this.#frames.clear();
    this.#costs.clear();
    this.#costBytes = 0;
  }
}
