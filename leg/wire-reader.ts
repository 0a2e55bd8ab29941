import type { Parts } from "./parts.js";

/** The factor of a varint's eighth byte. Eight bytes hold 56 bits, and numbers below 2^53 need no more. */
const lastFactor = 2 ** 49;

/** Stands for bytes that are missing. */
export const noBytes: Uint8Array = new Uint8Array();

/**
 * The error of bytes that this code cannot read. Nobody sees it, because a decoder then reads the bytes, or refuses
 * them.
 */
export function unreadableError(): RangeError {
  return new RangeError("unreadable bytes");
}

/**
 * Reads Protobuf's wire format in bytes that stand in several arrays, without joining them.
 * https://protobuf.dev/programming-guides/encoding/
 *
 * Throws a `RangeError` where the bytes end early, and for a varint of 2^53 or more.
 */
export class WireReader {
  readonly #arrays: readonly Uint8Array[];
  readonly #byteLength: number;
  #index = 0;
  #array: Uint8Array;
  /** The next byte, as an index into the current array. */
  #next = 0;
  #arrayStart = 0;

  constructor({ arrays, byteLength }: Pick<Parts, "arrays" | "byteLength">) {
    this.#arrays = arrays;
    this.#byteLength = byteLength;
    this.#array = arrays[0] ?? noBytes;
  }

  /** The number of bytes read so far. */
  get at(): number {
    return this.#arrayStart + this.#next;
  }

  get leftBytes(): number {
    return this.#byteLength - this.at;
  }

  /** The next byte. */
  byte(): number {
    while (this.#next >= this.#array.byteLength) this.#nextArray();
    return this.#array[this.#next++] as number;
  }

  /** A whole number below 2^53, in at most eight bytes. */
  varint(): number {
    const only = this.#onlyByte();
    if (only !== undefined) return only;
    let number = 0;
    for (let factor = 1; factor <= lastFactor; factor *= 0x80) {
      const byte = this.byte();
      number += (byte & 0x7f) * factor;
      if (byte < 0x80 && number <= Number.MAX_SAFE_INTEGER) return number;
    }
    throw unreadableError();
  }

  /** A tag or a length: a number of 32 bits in at most five bytes. Decoders differ in how they read a longer one. */
  uint32(): number {
    const only = this.#onlyByte();
    if (only !== undefined) return only;
    const start = this.at;
    const number = this.varint();
    if (number > 0xffffffff || this.at - start > 5) throw unreadableError();
    return number;
  }

  /** A number of a single byte, as most are; undefined, and nothing is read, if it may be another. */
  #onlyByte(): number | undefined {
    const byte = this.#array[this.#next];
    if (byte === undefined || byte >= 0x80) return undefined;
    this.#next += 1;
    return byte;
  }

  skip(byteLength: number): void {
    if (byteLength > this.leftBytes) throw unreadableError();
    let rest = byteLength;
    while (rest > this.#array.byteLength - this.#next) {
      rest -= this.#array.byteLength - this.#next;
      this.#nextArray();
    }
    this.#next += rest;
  }

  flag(): boolean {
    const number = this.varint();
    if (number > 1) throw unreadableError();
    return number === 1;
  }

  /** The next bytes: a view where they stand in one array, and a copy where they stand in several. */
  take(byteLength: number): Uint8Array {
    if (byteLength > this.leftBytes) throw unreadableError();
    if (byteLength <= this.#array.byteLength - this.#next) {
      this.#next += byteLength;
      return this.#array.subarray(this.#next - byteLength, this.#next);
    }
    const bytes = new Uint8Array(byteLength);
    for (let filledBytes = 0; filledBytes < byteLength; ) {
      if (this.#next >= this.#array.byteLength) this.#nextArray();
      const piece = this.#array.subarray(this.#next, this.#next + byteLength - filledBytes);
      bytes.set(piece, filledBytes);
      filledBytes += piece.byteLength;
      this.#next += piece.byteLength;
    }
    return bytes;
  }

  #nextArray(): void {
    const array = this.#arrays[this.#index + 1];
    if (array === undefined) throw unreadableError();
    this.#index += 1;
    this.#arrayStart += this.#array.byteLength;
    this.#array = array;
    this.#next = 0;
  }
}
