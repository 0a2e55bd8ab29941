import { hash } from "node:crypto";
import type { AccessClaims } from "./access-claims.js";

/** 10,000 tokens of 1 KiB of parsed claims each are 10 MiB. */
const maxVerifiedTokens = 10_000;
/** A key that was taken out of a key set stops counting after at most this time, as in the key set itself. */
const maxVerifiedMs = 600_000;

/**
 * The claims of tokens that were verified, so that a token is verified once and not for each stream. The tokens
 * themselves are not kept, only their SHA-256. When the map is full, the token that was not used for longest leaves it.
 */
export class VerifiedTokens {
  readonly #claims = new Map<string, { claims: AccessClaims; untilMs: number }>();
  readonly #maxTokens: number;

  constructor(maxTokens = maxVerifiedTokens) {
    this.#maxTokens = maxTokens;
  }

  get size(): number {
    return this.#claims.size;
  }

  /**
   * Returns the claims of a token that was verified; undefined for any other, and for one that is to be verified again.
   */
  claimsOf(token: string, nowMs: number): AccessClaims | undefined {
    const key = keyOf(token);
    const known = this.#claims.get(key);
    if (known === undefined) return undefined;
    this.#claims.delete(key);
    if (nowMs >= known.untilMs) return undefined;
    this.#claims.set(key, known);
    return known.claims;
  }

  /** Remembers a token that was verified just now, at most until it expires. */
  add(token: string, claims: AccessClaims, nowMs: number): void {
    this.#claims.set(keyOf(token), { claims, untilMs: Math.min(claims.expiresAtMs, nowMs + maxVerifiedMs) });
    const [oldest] = this.#claims.keys();
    if (this.#claims.size > this.#maxTokens && oldest !== undefined) this.#claims.delete(oldest);
  }
}

/** A text of one fixed size, whose place in the map tells nothing about the token. */
function keyOf(token: string): string {
  return hash("sha256", token, "base64url");
}
