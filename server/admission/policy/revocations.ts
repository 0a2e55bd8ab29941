import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Claims } from "../caller.js";
import { described, knownOptions } from "../known-options.js";

/**
 * The access tokens that are good no longer.
 *
 * - `jti` alone: the token with this id.
 * - `sub`: the tokens of this subject that were made before `issuedBefore`. Default: before now.
 * - `issuedBefore` alone: all tokens that were made before.
 */
export interface Revocation {
  sub?: string | undefined;
  jti?: string | undefined;
  /** A date, or milliseconds since 1970. Tokens tell seconds, so a token of the same second counts as made before. */
  issuedBefore?: Date | number | undefined;
}

/**
 * Revoked subjects and ids of tokens. 100,000 of 64 bytes are 15 MB; a relay that has more revokes by `issuedBefore`.
 */
export const maxRevocations = 100_000;

/** The access tokens that were revoked in this process. Each stays revoked as long as the process lives. */
export class Revocations {
  readonly #maxRevocations: number;
  readonly #tokenIds = new Set<string>();
  /** Tokens of a subject that were made up to a time, in milliseconds since 1970. */
  readonly #untilMsBySubject = new Map<string, number>();
  #allUntilMs = Number.NEGATIVE_INFINITY;

  constructor(max = maxRevocations) {
    this.#maxRevocations = max;
  }

  /**
   * Throws a TypeError for a value that says nothing, or that mixes an id with the rest, a RangeError for a time that
   * is to come, and FAILURE_LIMIT_REACHED if there are too many.
   */
  add(revocation: Revocation, nowMs: number): void {
    const { sub, jti, issuedBefore } = checkedRevocation(revocation, nowMs);
    const untilMs = issuedBefore === undefined ? nowMs : Number(issuedBefore);
    if (jti === undefined && sub === undefined) {
      this.#allUntilMs = Math.max(this.#allUntilMs, untilMs);
      return;
    }
    const isNew = jti === undefined ? !this.#untilMsBySubject.has(sub ?? "") : !this.#tokenIds.has(jti);
    if (isNew && this.#tokenIds.size + this.#untilMsBySubject.size >= this.#maxRevocations) {
      throw new StreamError(`${this.#maxRevocations} tokens and subjects are revoked already: revoke by issuedBefore`, {
        failure: Failure.LIMIT_REACHED,
      });
    }
    if (jti !== undefined) this.#tokenIds.add(jti);
    else if (sub !== undefined) {
      this.#untilMsBySubject.set(sub, Math.max(this.#untilMsBySubject.get(sub) ?? 0, untilMs));
    }
  }

  /** Whether the token behind the claims was revoked. */
  includes({ tokenId, subject, issuedAtMs }: Pick<Claims, "tokenId" | "subject" | "issuedAtMs">): boolean {
    if (tokenId !== "" && this.#tokenIds.has(tokenId)) return true;
    const untilMs = Math.max(this.#allUntilMs, this.#untilMsBySubject.get(subject) ?? Number.NEGATIVE_INFINITY);
    return issuedAtMs <= untilMs;
  }
}

function checkedRevocation(revocation: Revocation, nowMs: number): Revocation {
  const given = knownOptions("parts of a revocation", revocation, ["sub", "jti", "issuedBefore"]);
  const { sub, jti, issuedBefore } = given;
  for (const [part, text] of Object.entries({ sub, jti })) {
    // An empty text is what a token without the claim has.
    if (text !== undefined && (typeof text !== "string" || text === "")) {
      throw new TypeError(`${part} of a revocation is text that is not empty, not ${described(text)}`);
    }
  }
  if (issuedBefore !== undefined && !Number.isFinite(Number(issuedBefore))) {
    throw new TypeError(`issuedBefore is a date or milliseconds since 1970, not ${described(issuedBefore)}`);
  }
  if (issuedBefore !== undefined && Number(issuedBefore) > nowMs) {
    throw new RangeError("issuedBefore is not later than now: nobody could use the relay before that time");
  }
  const parts = Object.keys(given).length;
  if (parts === 0) throw new TypeError("a revocation says which tokens: sub, jti or issuedBefore");
  if (jti !== undefined && parts > 1) throw new TypeError("jti names one token, and goes with nothing else");
  return given;
}
