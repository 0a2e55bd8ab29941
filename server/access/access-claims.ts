import type { JWTPayload } from "jose";
import { isWellFormed } from "../../stream/platform/well-formed.js";
import { described } from "../admission/known-options.js";
import { CheckedRights } from "./stream-rights.js";

/** The claims of an access token that the relay uses, checked. */
export interface AccessClaims {
  rights: CheckedRights;
  /** `sub` */
  subject: string | undefined;
  /** `name`: how a person is called. */
  name: string | undefined;
  /** `meta`: facts for the listener. */
  meta: Readonly<Record<string, string>> | undefined;
  /** `jti` */
  tokenId: string | undefined;
  /**
   * `iat`, in milliseconds since 1970, by the clock of whoever made the token. A token without it counts as made before
   * every revocation.
   */
  issuedAtMs: number;
  /** `exp`, in milliseconds since 1970. */
  expiresAtMs: number;
  /** `streams_admin`: whether the holder is an operator of the relay. */
  isAdmin: boolean;
  /** `cut`: whether streams end when the token expires. */
  cut: boolean;
}

/** The time, and how far the clock of those who make tokens may be ahead of it. */
export interface ClaimsClock {
  /** Milliseconds since 1970. */
  nowMs: number;
  toleranceMs: number;
}

/**
 * Returns the claims of a payload whose registered claims `jose` has checked, except that "iat" may be a time to come.
 * Throws a TypeError or RangeError.
 */
export function accessClaims(payload: JWTPayload, { nowMs, toleranceMs }: ClaimsClock): AccessClaims {
  const { sub, name, meta, jti, iat, exp, cut = false, streams, streams_admin: isAdmin = false } = payload;
  if (exp === undefined) throw new TypeError('the claim "exp" is missing, the time at which the token expires');
  if (streams === undefined) throw new TypeError('the claim "streams" is missing, which says what the token allows');
  if (typeof cut !== "boolean") throw new TypeError(`the claim "cut" is true or false, not ${described(cut)}`);
  if (typeof isAdmin !== "boolean") {
    throw new TypeError(`the claim "streams_admin" is true or false, not ${described(isAdmin)}`);
  }
  const issuedAtMs = (iat ?? 0) * 1_000;
  // No revocation until now would count for it.
  if (issuedAtMs > nowMs + toleranceMs) throw new RangeError('the claim "iat" is a time to come');
  return {
    isAdmin,
    rights: CheckedRights.from(streams),
    subject: checkedText("sub", sub),
    name: checkedText("name", name),
    meta: checkedMeta(meta),
    tokenId: checkedText("jti", jti),
    issuedAtMs,
    expiresAtMs: exp * 1_000,
    cut,
  };
}

function checkedText(claim: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  // Half of a surrogate pair could not be sent to a listener.
  if (isWellFormed(value)) return value;
  throw new TypeError(`the claim ${JSON.stringify(claim)} is well-formed text, not ${described(value)}`);
}

/** Throws a TypeError for a value that is no record of strings. */
export function checkedMeta(meta: unknown): Readonly<Record<string, string>> | undefined {
  if (meta === undefined) return undefined;
  const isRecord = typeof meta === "object" && meta !== null && !Array.isArray(meta);
  if (isRecord && Object.entries(meta).flat().every(isWellFormed)) {
    return meta as Record<string, string>;
  }
  throw new TypeError('the claim "meta" is an object whose values are well-formed strings');
}
