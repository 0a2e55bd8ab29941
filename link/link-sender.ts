import type { Parts } from "../leg/parts.js";
import { afterTurn } from "../stream/platform/turn.js";
import type { Link } from "./link.js";
import { encodePackets } from "./packet/link-message.js";

/** A pipe for the messages of a link. */
export interface LinkPipe {
  /** Returns whether the pipe takes a message now. If not, it calls `goOn` when it may. */
  hasRoom(goOn: () => void): boolean;
  send(message: Parts): void;
}

/**
 * Sends the packets of a link by a pipe, as fast as the pipe takes them. Packets that wait together share a message.
 */
export class LinkSender {
  readonly #link: Link;
  readonly #pipe: LinkPipe;
  readonly #maxBatchBytes: number;
  readonly #onError: (reason: unknown) => void;
  readonly #later: (action: () => void) => void;
  readonly #goOn = () => this.#schedule();
  #state: "idle" | "scheduled" = "idle";

  /**
   * - `onError` is called with an error that the pipe throws.
   * - `later` says how long packets wait for others: by default until the code that runs now is done.
   */
  constructor(
    link: Link,
    pipe: LinkPipe,
    maxBatchBytes: number,
    onError: (reason: unknown) => void,
    later: (action: () => void) => void = afterTurn,
  ) {
    this.#later = later;
    this.#link = link;
    this.#pipe = pipe;
    this.#maxBatchBytes = maxBatchBytes;
    this.#onError = onError;
    link.onFilled = this.#goOn;
  }

  #schedule(): void {
    if (this.#state === "scheduled") return;
    this.#state = "scheduled";
    this.#later(() => {
      // The state is set before packets are taken, because sending them may bring other packets.
      this.#state = "idle";
      try {
        this.#sendAll();
      } catch (reason) {
        this.#onError(reason);
      }
    });
  }

  #sendAll(): void {
    while (this.#link.isOpen && this.#pipe.hasRoom(this.#goOn)) {
      const batch = this.#link.takeBatch(this.#maxBatchBytes);
      if (batch.length === 0) return;
      const packets = this.#link.withoutLost(batch);
      if (packets.length > 0) this.#pipe.send(encodePackets(packets));
    }
  }
}
