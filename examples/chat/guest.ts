import type { StreamError } from "browser-stream-server";
import { type Message, parseMessage, type RoomStream, randomKey, sendMessage } from "./message.js";

/** A guest as the host knows it. */
export class Guest {
  onMessage: (message: Message) => void = () => {};
  /** Called once. */
  onGone: () => void = () => {};
  announcedFiles = 0;
  /** What its other streams show, to prove that they are its own. */
  readonly key = randomKey();
  readonly #stream: RoomStream;
  readonly #fileStreams = new Set<RoomStream>();
  #here = true;

  constructor(
    readonly label: string,
    stream: RoomStream,
  ) {
    this.#stream = stream
      .on("data", (data) => {
        const message = parseMessage(data);
        if (message !== undefined) this.onMessage(message);
      })
      .on("end", () => this.dismiss())
      .on("close", () => this.dismiss());
  }

  tell(message: Message): void {
    if (this.#here) sendMessage(this.#stream, message);
  }

  /** A file's stream ends with its guest. */
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

/** More than guests, each with an initial of its own, and none with the host's. */
const animals =
  "Alpaca Badger Crane Dingo Eland Ferret Gecko Ibis Jackal Koala Lynx Mole " +
  "Newt Otter Panda Quail Raven Seal Tapir Urchin Vole Wren Yak Zebra";

/** A short name that nobody present has. */
export function labelFor(taken: ReadonlySet<string>): string {
  const free = animals.split(" ").filter((animal) => !taken.has(animal));
  return free[Math.floor(Math.random() * free.length)] ?? "Guest";
}
