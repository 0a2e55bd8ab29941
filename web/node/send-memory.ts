import type { EnvelopeMemory } from "../../leg/frame-envelope.js";

/** Smaller memory is not kept, because it costs little to make, and thousands of streams may wait with some each. */
const minBlockBytes = 16_384;
/**
 * Free blocks are kept up to so many bytes: eight of the 256 KiB that a full frame takes with the relay's usual limits.
 */
const maxFreeBytes = 2_097_152;

/**
 * Memory from which Node sends. Node reads the bytes of a write long after it was called, when the peer grants credit
 * and the kernel has room, and the application may have transferred its own memory away by then. A block is used again
 * and again, because a new one for each envelope took half of a sender's time.
 */
export class SendMemory {
  /** The block that was released first is the first. */
  readonly #free: Uint8Array<ArrayBuffer>[] = [];

  /** Returns memory with any content. The caller may call `release` with it once nobody reads it any more. */
  readonly take: EnvelopeMemory = (byteLength) => {
    if (byteLength < minBlockBytes) return new Uint8Array(byteLength);
    const blockBytes = 2 ** Math.ceil(Math.log2(byteLength));
    const index = this.#free.findLastIndex((block) => block.byteLength === blockBytes);
    const block = index < 0 ? new Uint8Array(blockBytes) : this.#free.splice(index, 1)[0];
    return (block as Uint8Array<ArrayBuffer>).subarray(0, byteLength);
  };

  /** Takes back memory that came from `take`. Does nothing with memory that is not worth keeping. */
  release({ buffer }: Uint8Array<ArrayBuffer>): void {
    if (buffer.byteLength < minBlockBytes || buffer.byteLength > maxFreeBytes) return;
    this.#free.push(new Uint8Array(buffer));
    let freeBytes = 0;
    for (const { byteLength } of this.#free) freeBytes += byteLength;
    while (freeBytes > maxFreeBytes) freeBytes -= this.#free.shift()?.byteLength ?? freeBytes;
  }
}
