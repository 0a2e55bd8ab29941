import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { minTokenKeyBytes, type TokenKeys } from "./token-keys.js";

/** A token proves a right to one of these: the client's or the listener's leg of a stream, a lease, or a link. */
export type TokenPurpose = "client leg" | "listener leg" | "lease" | "link";

/**
 * A token is good this long if the relay does not hold the lease, stream or link that it is for, as after a restart.
 * Thirty days are longer than any endpoint waits for its relay.
 */
export const tokenTtlMs = 30 * 24 * 60 * 60 * 1000;

/** 128 unguessable bits in base64url. */
export function randomId(): string {
  return randomBytes(16).toString("base64url");
}

/**
 * Signs and checks tokens: an expiry and an HMAC-SHA256 over purpose, id and expiry. A relay with the same key verifies
 * a token of a lease, stream or link that it has never held.
 */
export class TokenSigner {
  /** Key objects, because Node looks at bytes for each HMAC anew, which takes as long as the HMAC itself. */
  readonly #keys: readonly [KeyObject, ...KeyObject[]];
  readonly #epochNow: () => number;

  /**
   * The first key signs, and all keys verify. The default is one random key, whose tokens are worth nothing to another
   * process. `epochNow` returns milliseconds since 1970, because a token outlives the process.
   */
  constructor(keys: TokenKeys = [randomBytes(minTokenKeyBytes)], epochNow: () => number = Date.now) {
    const [first, ...others] = keys;
    this.#keys = [createSecretKey(first), ...others.map((key) => createSecretKey(key))];
    this.#epochNow = epochNow;
  }

  sign(purpose: TokenPurpose, id: string, ttlMs: number): string {
    const expiresAt = (this.#epochNow() + ttlMs).toString(36);
    return `${expiresAt}.${macOf(this.#keys[0], purpose, id, expiresAt).toString("base64url")}`;
  }

  /**
   * Throws FAILURE_TOKEN_INVALID. Throws FAILURE_TOKEN_EXPIRED for an old token of something that the relay does not
   * hold: as long as it is held, its token is good, whatever the wall clock says.
   */
  verify(purpose: TokenPurpose, id: string, token: string, isHeld = false): void {
    const [expiresAt = "", mac = "", ...rest] = token.split(".");
    const actual = Buffer.from(mac, "base64url");
    // Every key is tried, so that the time that this takes does not tell which of them has signed the token.
    const matches = this.#keys.map((key) => isSame(macOf(key, purpose, id, expiresAt), actual));
    if (rest.length > 0 || !matches.includes(true)) {
      throw new StreamError(`the token is not one of this ${purpose}`, { failure: Failure.TOKEN_INVALID });
    }
    if (!isHeld && Number.parseInt(expiresAt, 36) <= this.#epochNow()) {
      throw new StreamError(`the token of this ${purpose} has expired`, { failure: Failure.TOKEN_EXPIRED });
    }
  }
}

function macOf(key: KeyObject, purpose: TokenPurpose, id: string, expiresAt: string): Buffer {
  return createHmac("sha256", key)
    .update(JSON.stringify([purpose, id, expiresAt]))
    .digest();
}

/** Compares in a time that depends on nothing but the lengths. */
function isSame(a: Buffer, b: Buffer): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}
