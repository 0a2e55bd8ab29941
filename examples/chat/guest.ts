import type { StreamError } from "browser-stream-server";
import { type Message, type Person, parseMessage, type RoomStream, randomKey, sendMessage } from "./message.js";

/** A guest as the host knows it. */
export class Guest implements Person {
  onMessage: (message: Message) => void = () => {};
  /** Called once. */
  onGone: () => void = () => {};
  announcedFiles = 0;
  /** The guest's other streams show this key, to prove that they are its own. */
  readonly key = randomKey();
  readonly #stream: RoomStream;
  readonly #fileStreams = new Set<RoomStream>();
  #here = true;

  constructor(
    readonly id: string,
    public name: string,
    stream: RoomStream,
  ) {
    this.#stream = stream
      .on("data", (data) => {
        const message = parseMessage(data);
        if (message !== undefined) this.onMessage(message);
      })
      .on("end", () => this.dismiss())
      // A guest that is lost has left, like one that says goodbye; "close" follows.
      .on("error", () => {})
      .on("close", () => this.dismiss());
  }

  tell(message: Message): void {
    if (this.#here) sendMessage(this.#stream, message);
  }

  /** Ends a file's stream with its guest. */
  keep(stream: RoomStream): void {
    this.#fileStreams.add(stream);
    const forget = () => this.#fileStreams.delete(stream);
    stream.closed.then(forget, forget);
  }

  /** Ends everything with this guest: in peace, or with an error that it gets to see. */
  dismiss(error?: StreamError): void {
    if (!this.#here) return;
    this.#here = false;
    for (const each of this.#fileStreams) each.destroy();
    if (error === undefined) this.#stream.end();
    else this.#stream.destroy(error);
    this.onGone();
  }
}
