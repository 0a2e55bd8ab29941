import type { Parts } from "../../leg/parts.js";
import type { LinkPipe } from "../../link/link-sender.js";
import type { Stream } from "../../stream/stream.js";

/** The messages of a stream that carries a link. Undefined is a message of text, of which a link has none. */
export type LinkStream = Stream<Uint8Array | undefined, Uint8Array>;

/** A stream as the pipe of a link: each message of the link is one of the stream, within the stream's own credit. */
export class StreamPipe implements LinkPipe {
  readonly #stream: LinkStream;
  #state: "free" | "waiting" = "free";

  constructor(stream: LinkStream) {
    this.#stream = stream;
  }

  hasRoom(goOn: () => void): boolean {
    if (!this.#stream.writableNeedDrain) return true;
    if (this.#state === "free") {
      this.#state = "waiting";
      this.#stream.once("drain", () => {
        this.#state = "free";
        goOn();
      });
    }
    return false;
  }

  send(message: Parts): void {
    this.#stream.write(message.joined);
  }
}
