import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/stream-error.js";

/** A token proves a right to one of these: the client's or the listener's leg of a stream, a lease, or a link. */
export type TokenPurpose = "client leg" | "listener leg" | "lease" | "link";

/**
 * How long a token is good for when the relay does not hold what it is for: long enough for a stream or a listener to
 * be taken up again. A relay that restarted has nothing else to go by.
 */
export const tokenTtlMs = 30 * 24 * 60 * 60 * 1000;

/** 128 unguessable bits in base64url. */
export function randomId(): string {
  return randomBytes(16).toString("base64url");
}

/**
 * Signs and checks tokens: an expiry and an HMAC-SHA256 over purpose, id and expiry. A relay with the same key knows a
 * token without ever having seen what it is for.
 */
export class TokenSigner {
  /** Node looks at bytes for each HMAC anew, which takes as long as the HMAC itself. */
  readonly #key: KeyObject;
  readonly #epochNow: () => number;

  /** `epochNow`: milliseconds since 1970, because a token outlives the process. */
  constructor(key: Uint8Array = randomBytes(32), epochNow: () => number = Date.now) {
    this.#key = createSecretKey(key);
    this.#epochNow = epochNow;
  }

  sign(purpose: TokenPurpose, id: string, ttlMs: number): string {
    const expiresAt = (this.#epochNow() + ttlMs).toString(36);
    return `${expiresAt}.${this.#mac(purpose, id, expiresAt).toString("base64url")}`;
  }

  /**
   * Throws FAILURE_TOKEN_INVALID. Throws FAILURE_TOKEN_EXPIRED for an old token of something that the relay does not
   * hold: as long as it is held, its token is good, whatever the wall clock says.
   */
  verify(purpose: TokenPurpose, id: string, token: string, isHeld = false): void {
    const [expiresAt = "", mac = "", ...rest] = token.split(".");
    const expected = this.#mac(purpose, id, expiresAt);
    const actual = Buffer.from(mac, "base64url");
    if (rest.length > 0 || actual.byteLength !== expected.byteLength || !timingSafeEqual(actual, expected)) {
      throw new StreamError(`the token is not one of this ${purpose}`, { failure: Failure.TOKEN_INVALID });
    }
    if (!isHeld && Number.parseInt(expiresAt, 36) <= this.#epochNow()) {
      throw new StreamError(`the token of this ${purpose} has expired`, { failure: Failure.TOKEN_EXPIRED });
    }
  }

  #mac(purpose: TokenPurpose, id: string, expiresAt: string): Buffer {
    return createHmac("sha256", this.#key)
      .update(JSON.stringify([purpose, id, expiresAt]))
      .digest();
  }
}
