import type { StreamError } from "browser-stream-server";
import { type Message, type Person, parseMessage, type RoomStream, sendMessage } from "./message.js";

/** A guest as the host knows it. */
export class Guest implements Person {
  onMessage: (message: Message) => void = () => {};
  /** Called once: the guest has left or was removed, or else its connection was lost. */
  onGone: (how: "for good" | "lost") => void = () => {};
  announcedFiles = 0;
  readonly #stream: RoomStream;
  readonly #fileStreams = new Set<RoomStream>();
  #here = true;

  constructor(
    readonly id: string,
    public name: string,
    /** The guest's other streams show this key, to prove that they are its own. */
    readonly key: string,
    stream: RoomStream,
  ) {
    this.#stream = stream
      .on("data", (data) => {
        const message = parseMessage(data);
        if (message !== undefined) this.onMessage(message);
      })
      .on("end", () => this.#leave("for good"))
      // "close" follows.
      .on("error", () => {})
      .on("close", () => this.#leave("lost"));
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

  /** Ends everything with this guest, because the room ends. */
  dismiss(): void {
    this.#leave("lost");
  }

  /** Ends everything with this guest, which gets to see the error. */
  remove(error: StreamError): void {
    this.#leave("for good", error);
  }

  #leave(how: "for good" | "lost", error?: StreamError): void {
    if (!this.#here) return;
    this.#here = false;
    for (const each of this.#fileStreams) each.destroy();
    if (error === undefined) this.#stream.end();
    else this.#stream.destroy(error);
    this.onGone(how);
  }
}
