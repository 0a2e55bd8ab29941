import type { Stream } from "browser-stream-server";
import { bytesOf } from "./bytes.js";
import { checkEqual } from "./check.js";
import type { Party } from "./party.js";

const partBytes = 65_536;
const windowBytes = 2_097_152;
/** A window, what waits in this side before `write()` says false, and less than as much again. */
const maxWrittenBytes = 2 * windowBytes;
/** The parties wait for each other this often, over the same transport, before a stream counts as standing still. */
const turns = 20;

/** A stream that both sides write to as fast as they may, and that neither reads yet. */
export class UnreadStream {
  readonly #party: Party;
  readonly #stream: Stream;
  #parts = 0;
  #onWindowFilled = () => {};

  constructor(party: Party, stream: Stream) {
    this.#party = party;
    this.#stream = stream;
  }

  /** Resolves when both sides stand still, and have written no more than may wait. */
  async fill(): Promise<void> {
    const filled = new Promise<void>((resolve) => {
      this.#onWindowFilled = resolve;
    });
    this.#stream.on("drain", this.#write);
    this.#write();
    await Promise.race([filled, this.#stream.closed]);
    for (let turn = 0; turn < turns; turn++) await this.#party.together(`turn ${turn} without reading`);
    checkEqual("write() says false and no drain follows", this.#stream.writableNeedDrain, true);
    checkEqual(
      `${this.#parts * partBytes} bytes are written, too many`,
      this.#parts * partBytes > maxWrittenBytes,
      false,
    );
  }

  /** Reads it to its end, which lets the other side write again. */
  async read(): Promise<void> {
    const drained = new Promise<void>((resolve) => this.#stream.off("drain", this.#write).once("drain", resolve));
    await this.#party.together("both read");
    const reading = this.#readAll();
    await Promise.race([drained, this.#stream.closed]);
    this.#stream.end(`${this.#parts}`);
    await reading;
    await this.#stream.closed;
  }

  readonly #write = () => {
    let hasRoom = true;
    while (hasRoom && this.#parts * partBytes <= 2 * maxWrittenBytes) {
      hasRoom = this.#stream.write(bytesOf(this.#parts, partBytes));
      this.#parts += 1;
    }
    if (this.#parts * partBytes >= windowBytes) this.#onWindowFilled();
  };

  async #readAll(): Promise<void> {
    let parts = 0;
    for await (const message of this.#stream) {
      if (typeof message === "string") checkEqual("how much the other side wrote", message, `${parts}`);
      else checkEqual(`part ${parts}`, message, bytesOf(parts++, partBytes));
    }
    checkEqual("something was read", parts > 0, true);
  }
}
