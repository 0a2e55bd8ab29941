/** The factor of a varint's eighth byte: more are not needed below 2^53. */
const lastFactor = 2 ** 49;

/** Reads what a `WireWriter` writes, and little else: it throws a `RangeError` at anything for a decoder. */
export class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** How many bytes were read. */
  get at(): number {
    return this.#at;
  }

  get leftBytes(): number {
    return this.#bytes.byteLength - this.#at;
  }

  /** A whole number below 2^53, in at most eight bytes. */
  varint(): number {
    let number = 0;
    for (let factor = 1; factor <= lastFactor; factor *= 0x80) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) break;
      number += (byte & 0x7f) * factor;
      if (byte < 0x80 && number <= Number.MAX_SAFE_INTEGER) return number;
    }
    throw new RangeError("no number below 2^53");
  }

  flag(): boolean {
    const number = this.varint();
    if (number > 1) throw new RangeError("no flag");
    return number === 1;
  }

  /** The next bytes, after their length, as a view. */
  view(): Uint8Array {
    const byteLength = this.varint();
    if (byteLength > this.leftBytes) throw new RangeError("fewer bytes than were announced");
    this.#at += byteLength;
    return this.#bytes.subarray(this.#at - byteLength, this.#at);
  }
}
