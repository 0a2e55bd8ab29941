import type { Parts } from "../../leg/parts.js";

/** Blocks that are free are kept up to this number. Each HTTP/2 stream that sends in bulk has one in use. */
const maxFreeBlocks = 8;
/** A larger block than this is not kept: the largest envelope of a relay with default limits is 327,680 bytes. */
const maxKeptBytes = 1_048_576;
/** A block is used for an envelope of at least this share of it, so that small envelopes do not hold large blocks. */
const minUsedShare = 1 / 4;

/**
 * Memory from which Node sends. Node reads the bytes of a write long after it was called, when the peer grants credit
 * and the kernel has room, and the application may have transferred its own memory away by then. A block is used again
 * and again, because a new one for each envelope took most of a sender's time.
 */
export class SendMemory {
  readonly #free: Uint8Array[] = [];

  /** Copies an envelope into a block. The caller must call `release` with the result once it is sent. */
  copy(envelope: Parts): Uint8Array {
    const block = this.#take(envelope.byteLength);
    envelope.copyTo(block);
    return block.subarray(0, envelope.byteLength);
  }

  /** Takes back what `copy` returned, of which nobody may read any more. */
  release({ buffer }: Uint8Array): void {
    if (this.#free.length < maxFreeBlocks && buffer.byteLength <= maxKeptBytes) this.#free.push(new Uint8Array(buffer));
  }

  #take(byteLength: number): Uint8Array {
    const isFit = (block: Uint8Array) =>
      byteLength <= block.byteLength && byteLength >= block.byteLength * minUsedShare;
    const index = this.#free.findLastIndex(isFit);
    const [block] = index < 0 ? [] : this.#free.splice(index, 1);
    return block ?? new Uint8Array(byteLength);
  }
}
