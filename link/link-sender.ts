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

/** Sends the packets of a link by a pipe, as fast as the pipe takes them. Packets of one callback share a message. */
export class LinkSender {
  readonly #link: Link;
  readonly #pipe: LinkPipe;
  readonly #maxBatchBytes: number;
  readonly #onError: (reason: unknown) => void;
  readonly #goOn = () => this.#schedule();
  #state: "idle" | "scheduled" = "idle";

  /** `onError` is called with an error that the pipe throws. */
  constructor(link: Link, pipe: LinkPipe, maxBatchBytes: number, onError: (reason: unknown) => void) {
    this.#link = link;
    this.#pipe = pipe;
    this.#maxBatchBytes = maxBatchBytes;
    this.#onError = onError;
    link.onFilled = this.#goOn;
  }

  #schedule(): void {
    if (this.#state === "scheduled") return;
    this.#state = "scheduled";
    afterTurn(() => {
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
