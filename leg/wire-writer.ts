/**
 * Writes Protobuf's wire format into a buffer whose size was worked out before. For the messages that carry an
 * application's data, and them alone: the library copies what it nests, several times for each level.
 * https://protobuf.dev/programming-guides/encoding/
 */
export class WireWriter {
  readonly bytes: Uint8Array<ArrayBuffer>;
  #at = 0;
  #cutAt = 0;

  /** Writes into `bytes`, which have to be as many as will be written. Default new memory. */
  constructor(byteLength: number, bytes = new Uint8Array(byteLength)) {
    this.bytes = bytes;
  }

  /** A whole number below 2^53. */
  varint(value: number): this {
    let rest = value;
    while (rest > 0x7f) {
      this.bytes[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.#at++] = rest;
    return this;
  }

  raw(data: Uint8Array): this {
    this.bytes.set(data, this.#at);
    this.#at += data.byteLength;
    return this;
  }

  /** Returns a view of the bytes that were written since the last cut. */
  cut(): Uint8Array<ArrayBuffer> {
    const isAll = this.#cutAt === 0 && this.#at === this.bytes.byteLength;
    const written = isAll ? this.bytes : this.bytes.subarray(this.#cutAt, this.#at);
    this.#cutAt = this.#at;
    return written;
  }

  /** Passes over bytes that the caller writes by itself. */
  skip(byteLength: number): this {
    this.#at += byteLength;
    return this;
  }
}

/** How many bytes a whole number below 2^53 takes. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes += 1;
  return bytes;
}

/** A field's number and wire type, as one number. */
export const varintTag = (field: number) => field * 8;
export const lengthTag = (field: number) => field * 8 + 2;
