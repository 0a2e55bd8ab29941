import type { Parts } from "../../leg/parts.js";

/** Joins parts in one buffer again and again, because a new one for each message took most of a sender's time. */
export class PartsJoiner {
  #buffer = new Uint8Array();

  /** The bytes are good until the next call, unless the buffer is released before. */
  join(parts: Parts): Uint8Array<ArrayBuffer> {
    if (parts.byteLength > this.#buffer.byteLength) this.#buffer = new Uint8Array(parts.byteLength * 2);
    parts.copyTo(this.#buffer);
    return this.#buffer.subarray(0, parts.byteLength);
  }

  /** Leaves the buffer to the code that got the bytes. The next call makes a new one. */
  release(): void {
    this.#buffer = new Uint8Array();
  }
}
