import type { Link } from "../../link/link.js";
import { encodePackets } from "../../link/link-message.js";
import type { OutgoingPacket } from "../../link/outgoing-packet.js";
import { PartsJoiner } from "../../link/parts-joiner.js";
import { afterTurn } from "../../stream/turn.js";

/**
 * Nothing more is handed to the browser while it holds so much. A browser tells how much it holds, but not when it is
 * less, and a timer runs once a second in the background, or once a minute. The answer to a ping tells, because the
 * ping leaves last.
 */
const maxBufferedBytes = 1_048_576;
/** From here on a ping is on its way, so that its answer comes before the browser has nothing left to send. */
const pingFromBytes = 786_432;

/** The socket that a {@link SocketSender} sends by. */
export interface SenderSocket {
  readonly bufferedAmount: number;
  /** Whether the memory that was sent last may be used again. */
  readonly isMemoryFree: boolean;
  send(bytes: Uint8Array<ArrayBuffer>): void;
}

/** Sends the packets of a link by its WebSocket: those of one turn together, and no more than the browser can hold. */
export class SocketSender {
  readonly #socket: SenderSocket;
  readonly #link: Link;
  readonly #maxBatchBytes: number;
  readonly #onError: (reason: unknown) => void;
  readonly #joiner = new PartsJoiner();
  #state: "idle" | "scheduled" | "sending" = "idle";
  /** The ping whose answer makes room in the browser. */
  #ping: "none" | "under way" = "none";

  constructor(socket: SenderSocket, link: Link, maxBatchBytes: number, onError: (reason: unknown) => void) {
    this.#socket = socket;
    this.#link = link;
    this.#maxBatchBytes = maxBatchBytes;
    this.#onError = onError;
    link.onFilled = () => this.#schedule();
  }

  #schedule(): void {
    if (this.#state !== "idle") return;
    this.#state = "scheduled";
    afterTurn(() => {
      this.#state = "sending";
      try {
        this.#sendAll();
      } catch (reason) {
        this.#onError(reason);
      }
      this.#state = "idle";
    });
  }

  #sendAll(): void {
    while (this.#link.isOpen) {
      if (this.#socket.bufferedAmount > pingFromBytes) this.#askForRoom();
      if (this.#socket.bufferedAmount > maxBufferedBytes) return;
      const packets = this.#link.takeBatch(this.#maxBatchBytes);
      if (packets.length === 0) return;
      this.#send(packets);
    }
  }

  #send(packets: readonly OutgoingPacket[]): void {
    const kept = this.#link.withoutLost(packets);
    if (kept.length === 0) return;
    const parts = encodePackets(kept);
    // A message begins with bytes of the link, so a single array is no memory of the application's.
    const [only] = parts.arrays;
    if (parts.arrays.length === 1) return this.#socket.send(only as Uint8Array<ArrayBuffer>);
    this.#socket.send(this.#joiner.join(parts));
    if (!this.#socket.isMemoryFree) this.#joiner.release();
  }

  /** Goes on when the relay has everything that was sent before. */
  #askForRoom(): void {
    if (this.#ping === "under way") return;
    this.#ping = "under way";
    const { packet, answered } = this.#link.createPing();
    this.#send([packet]);
    answered.then(
      () => {
        this.#ping = "none";
        this.#schedule();
      },
      // The link is over.
      () => {},
    );
  }
}
