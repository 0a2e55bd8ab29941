import { invalidArgumentError } from "../error/options.js";
import type { StreamError } from "../error/stream-error.js";

/** Bytes up to which an array has no buffer in V8 until somebody asks for it, which takes longer than a copy. */
const tinyBytes = 64;

/**
 * The bytes of an ArrayBuffer, a SharedArrayBuffer, or a view of one; undefined for anything else.
 *
 * - They may be of another realm: a frame, a `vm` context, jest with jsdom. The view that is returned is of this one.
 * - Shared and resizable memory is copied, because browsers refuse to send it. A `Uint8Array` of at most 64 bytes is
 *   copied, because that is faster.
 * - Throws `invalid_argument` if the buffer was transferred away.
 */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (value instanceof Uint8Array && value.byteLength > 0 && value.byteLength <= tinyBytes)
    return new Uint8Array(value);
  const isView = ArrayBuffer.isView(value);
  const buffer = isView ? value.buffer : (value as ArrayBuffer);
  const tag = tagOf(buffer);
  if (tag !== "[object ArrayBuffer]" && tag !== "[object SharedArrayBuffer]") return undefined;
  if (isDetached(buffer)) throw invalidArgumentError("bytes were transferred away before they were written");
  let bytes: Uint8Array;
  if (value instanceof Uint8Array) bytes = value;
  else bytes = isView ? new Uint8Array(buffer, value.byteOffset, value.byteLength) : new Uint8Array(buffer);
  const isSteady = tag === "[object ArrayBuffer]" && (buffer as { resizable?: boolean }).resizable !== true;
  // Not `slice`, which copies nothing of a Buffer.
  return isSteady ? bytes : new Uint8Array(bytes);
}

/**
 * Returns the bytes themselves, or a copy of them if their buffer, which they keep in memory as a whole, is more than
 * `maxFactor` times as large.
 */
export function unpinned(bytes: Uint8Array, maxFactor: number): Uint8Array<ArrayBuffer> {
  const isPinning = bytes.byteLength * maxFactor < bytes.buffer.byteLength;
  // Not `slice`, which copies nothing of a Buffer.
  return isPinning ? new Uint8Array(bytes) : (bytes as Uint8Array<ArrayBuffer>);
}

/** Returns whether a buffer was transferred away. */
export function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength > 0) return false;
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}

/** The error of an application that transfers bytes away after writing them, when they have to be sent. */
export function transferredAwayError(): StreamError {
  return invalidArgumentError("bytes were transferred away before they reached the peer");
}

/** The class of a platform's object, whatever realm it is of. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value);
}
