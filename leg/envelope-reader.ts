import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import { unpinned } from "../stream/endpoint/bytes.js";
import { StreamError } from "../stream/error/stream-error.js";
import { envelopeHeadBytes } from "./envelope.js";
import { isSmall, maxPinnedFactor, Parts } from "./parts.js";

/** Called with the flags of a whole envelope, and with its bytes, head included. Returns whether reading goes on. */
export type OnEnvelope = (flags: number, envelope: Parts) => boolean;

/**
 * Finds the envelopes of a body that comes in chunks. An envelope consists of views of its chunks; only small pieces of
 * one that has to wait for its rest are copied.
 *
 * When `onEnvelope` returns false, reading stops after that envelope, and the rest of the chunk waits in the reader
 * until `resume`.
 */
export class EnvelopeReader {
  readonly #maxDataBytes: number;
  readonly #onEnvelope: OnEnvelope;
  /** The views of the current envelope in chunks that came before, and how many bytes they are. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  /** The number of bytes of the current envelope's head that were read, and the flags and the length in them. */
  #headReadBytes = 0;
  #flags = 0;
  #dataBytes = 0;
  /** The bytes after an envelope at which reading was stopped. */
  #rest: Uint8Array | undefined;

  /** Envelopes with more than `maxDataBytes` of data are refused. */
  constructor(maxDataBytes: number, onEnvelope: OnEnvelope) {
    this.#maxDataBytes = maxDataBytes;
    this.#onEnvelope = onEnvelope;
  }

  /** Whether bytes of the body wait for `resume`. */
  get isStopped(): boolean {
    return this.#rest !== undefined;
  }

  /** Whether an envelope has begun whose rest has not come. A body must not end here. */
  get isWithinEnvelope(): boolean {
    return this.#headReadBytes > 0;
  }

  /**
   * Takes the next chunk, which nobody may modify any more. Returns false if the next chunk has to wait for `resume`.
   * Throws FAILURE_FRAME_TOO_LARGE for an envelope over the limit, as soon as its head is known.
   */
  push(chunk: Uint8Array): boolean {
    let start = 0;
    for (let at = 0; at < chunk.byteLength; start = at) {
      at = this.#readHead(chunk, at);
      const missingBytes = envelopeHeadBytes + this.#dataBytes - this.#pieceBytes - (at - start);
      if (this.#headReadBytes < envelopeHeadBytes || chunk.byteLength - at < missingBytes) {
        this.#keep(start === 0 ? chunk : chunk.subarray(start));
        return true;
      }
      at += missingBytes;
      this.#pieces.push(start === 0 && at === chunk.byteLength ? chunk : chunk.subarray(start, at));
      if (this.#take()) continue;
      this.#rest = at < chunk.byteLength ? chunk.subarray(at) : undefined;
      return false;
    }
    return true;
  }

  /** Goes on after `onEnvelope` returned false. Returns and throws as `push` does. */
  resume(): boolean {
    const rest = this.#rest;
    this.#rest = undefined;
    return rest === undefined || this.push(rest);
  }

  /** Reads the missing bytes of the head, and returns where they end in the chunk. */
  #readHead(chunk: Uint8Array, from: number): number {
    let at = from;
    while (this.#headReadBytes < envelopeHeadBytes && at < chunk.byteLength) {
      const byte = chunk[at] as number;
      if (this.#headReadBytes === 0) this.#flags = byte;
      else this.#dataBytes = this.#dataBytes * 0x100 + byte;
      this.#headReadBytes += 1;
      at += 1;
    }
    if (this.#headReadBytes === envelopeHeadBytes && this.#dataBytes > this.#maxDataBytes) {
      throw new StreamError(`a message of ${this.#dataBytes} bytes is larger than ${this.#maxDataBytes}`, {
        failure: Failure.FRAME_TOO_LARGE,
      });
    }
    return at;
  }

  /**
   * Keeps a piece of an envelope until the rest has come. Small pieces are copied and joined, so that an envelope in
   * many of them keeps neither thousands of arrays in memory nor the chunks that the pieces came in. A larger piece is
   * copied if its chunk is much larger.
   */
  #keep(piece: Uint8Array): void {
    this.#pieceBytes += piece.byteLength;
    let kept: Uint8Array = isSmall(piece) ? new Uint8Array(piece) : unpinned(piece, maxPinnedFactor);
    // A piece of at most 4,096 bytes is joined with the pieces before it that are not larger, so sizes double and few
    // pieces are left.
    for (let last = this.#pieces.at(-1); isSmall(kept) && last !== undefined; last = this.#pieces.at(-1)) {
      if (last.byteLength > kept.byteLength) break;
      this.#pieces.pop();
      kept = new Parts([last, kept]).joined;
    }
    this.#pieces.push(kept);
  }

  #take(): boolean {
    const envelope = new Parts(this.#pieces);
    this.#pieces = [];
    this.#pieceBytes = 0;
    this.#headReadBytes = 0;
    this.#dataBytes = 0;
    return this.#onEnvelope(this.#flags, envelope);
  }
}
