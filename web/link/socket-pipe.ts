import type { Parts } from "../../leg/parts.js";
import type { Link } from "../../link/link.js";
import type { LinkPipe } from "../../link/link-sender.js";
import { encodePackets } from "../../link/packet/link-message.js";
import { PartsJoiner } from "../../link/packet/parts-joiner.js";

/**
 * Nothing more is handed to the browser while it holds so much. A browser tells how much it holds, but not when it is
 * less, and a timer runs once a second in the background, or once a minute. The answer to a ping tells, because the
 * ping leaves last.
 */
const maxBufferedBytes = 1_048_576;
/** From here on a ping is on its way, so that its answer comes before the browser has nothing left to send. */
const pingFromBytes = 786_432;

/** The socket that a {@link SocketPipe} sends by. */
export interface PipeSocket {
  readonly bufferedAmount: number;
  /** Whether the memory that was sent last may be used again. */
  readonly isMemoryFree: boolean;
  send(bytes: Uint8Array<ArrayBuffer>): void;
}

/** A link's WebSocket as its pipe, which takes no more than the browser can hold. */
export class SocketPipe implements LinkPipe {
  readonly #socket: PipeSocket;
  readonly #link: Link;
  readonly #joiner = new PartsJoiner();
  /** The ping whose answer makes room in the browser. */
  #ping: "none" | "under way" = "none";

  constructor(socket: PipeSocket, link: Link) {
    this.#socket = socket;
    this.#link = link;
  }

  hasRoom(goOn: () => void): boolean {
    if (this.#socket.bufferedAmount > pingFromBytes) this.#askForRoom(goOn);
    return this.#socket.bufferedAmount <= maxBufferedBytes;
  }

  send(message: Parts): void {
    // A message begins with bytes of the link, so a single array is no memory of the application's.
    const [only] = message.arrays;
    if (message.arrays.length === 1) return this.#socket.send(only as Uint8Array<ArrayBuffer>);
    this.#socket.send(this.#joiner.join(message));
    if (!this.#socket.isMemoryFree) this.#joiner.release();
  }

  /** Asks whether the relay has everything that was sent before. */
  #askForRoom(goOn: () => void): void {
    if (this.#ping === "under way") return;
    this.#ping = "under way";
    const { packet, answered } = this.#link.createPing();
    this.send(encodePackets([packet]));
    answered.then(
      () => {
        this.#ping = "none";
        goOn();
      },
      // The link is over.
      () => {},
    );
  }
}
