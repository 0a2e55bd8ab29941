import { maxPinnedFactor } from "../../leg/parts.js";
import { unpinned } from "../../stream/endpoint/bytes.js";
import { Fifo } from "../../stream/platform/fifo.js";

/** A chunk's own overhead is a small part of more than this. */
const smallBytes = 1_024;
/** Chunks are put together up to this. */
const maxTailBytes = 16_384;

/**
 * Bytes that wait to be read, in little more memory than they are, in however small chunks and out of whatever buffers
 * they came.
 */
export class ByteQueue {
  readonly #chunks = new Fifo<Uint8Array>();
  /** Small chunks that came after all others, put together, with room for more of them. */
  #tail: { bytes: Uint8Array<ArrayBuffer>; length: number } | undefined;

  push(chunk: Uint8Array): void {
    if (chunk.byteLength === 0) return;
    if (chunk.byteLength < smallBytes) return this.#pushSmall(chunk);
    this.#flush();
    this.#chunks.push(unpinned(chunk, maxPinnedFactor));
  }

  shift(): Uint8Array | undefined {
    if (this.#chunks.length === 0) this.#flush();
    return this.#chunks.shift();
  }

  clear(): void {
    this.#chunks.clear();
    this.#tail = undefined;
  }

  #pushSmall(chunk: Uint8Array): void {
    const tail = this.#tail;
    if (tail === undefined || tail.length + chunk.byteLength > maxTailBytes) {
      this.#flush();
      this.#tail = { bytes: new Uint8Array(chunk), length: chunk.byteLength };
      return;
    }
    const length = tail.length + chunk.byteLength;
    if (length > tail.bytes.byteLength) {
      const larger = new Uint8Array(Math.min(2 * length, maxTailBytes));
      larger.set(tail.bytes);
      tail.bytes = larger;
    }
    tail.bytes.set(chunk, tail.length);
    tail.length = length;
  }

  #flush(): void {
    if (this.#tail === undefined) return;
    const { bytes, length } = this.#tail;
    this.#tail = undefined;
    this.#chunks.push(length < bytes.byteLength ? bytes.subarray(0, length) : bytes);
  }
}
