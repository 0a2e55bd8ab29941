import { createHash, timingSafeEqual } from "node:crypto";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";

/** The longest key, in bytes of UTF-8. A SHA-512 hash in hexadecimal has 128. */
export const maxOwnerKeyBytes = 128;

/** The key with which a name was claimed. Only its SHA-256 is kept, so that the memory of a relay holds no secrets. */
export class OwnerKey {
  readonly #hash: Buffer;

  /** Returns undefined for an empty key, which is none. Throws FAILURE_FRAME_TOO_LARGE. */
  static from(key: string): OwnerKey | undefined {
    const keyBytes = Buffer.byteLength(key);
    if (keyBytes > maxOwnerKeyBytes) {
      const message = `an owner key has at most ${maxOwnerKeyBytes} bytes of UTF-8, not ${keyBytes}`;
      throw new StreamError(message, { failure: Failure.FRAME_TOO_LARGE });
    }
    return keyBytes === 0 ? undefined : new OwnerKey(key);
  }

  private constructor(key: string) {
    this.#hash = createHash("sha256").update(key).digest();
  }

  /** Compares in a time that does not depend on the keys. */
  equals(other: OwnerKey): boolean {
    return timingSafeEqual(this.#hash, other.#hash);
  }
}
