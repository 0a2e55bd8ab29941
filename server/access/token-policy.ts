import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { described, knownOptions } from "../admission/known-options.js";
import {
  type AdminRequest,
  type AuthorizeRequest,
  type Grant,
  maxAccessTokenBytes,
} from "../admission/policy/authorize.js";
import type { AccessClaims } from "./access-claims.js";
import { type AccessKeyOptions, checkedAccessKeys } from "./access-keys.js";
import { AccessVerifier, tokenError } from "./access-verifier.js";
import type { KeySetTrouble } from "./fetched-key-set.js";
import { CheckedRights, type StreamRights } from "./stream-rights.js";
import { VerifiedTokens } from "./verified-tokens.js";

/** One of `secret`, `publicKey` and `jwks` is given. An option that is `undefined` counts as left out. */
export interface TokenPolicyOptions extends AccessKeyOptions {
  /** The claim "iss" that tokens must have. Default: any, or none. */
  issuer?: string | undefined;
  /** The claim "aud" that tokens must have, alone or among others. Default: tokens must have none. */
  audience?: string | undefined;
  /** The rights of callers without a token. Default none. */
  anonymous?: StreamRights | undefined;
  /**
   * Whether the streams, names and watches of every token end when it expires, as with `cut` in a token. Default false.
   */
  expiredTokensCut?: boolean | undefined;
  /**
   * How far the clocks of the relay and of those who make tokens may differ, in milliseconds, at most 300,000: by so
   * much a token is let in before the times in "nbf" and "iat", and after "exp". What a token has opened that cuts ends
   * at "exp" all the same. A revocation also counts for tokens that were made by so much after it. Default 5,000.
   */
  clockToleranceMs?: number | undefined;
  /** The time, in milliseconds since 1970. Default `Date.now`. */
  now?: (() => number) | undefined;
}

/** Two machines that keep their clocks by NTP are often a second apart, and hardly ever five. */
const defaultClockToleranceMs = 5_000;
/** A clock that is wrong by more than minutes is to be mended. */
const maxClockToleranceMs = 300_000;

/** The answers of a policy come at once for tokens that it has seen before. */
export type TokenPolicy = (request: AuthorizeRequest | AdminRequest) => Grant | Promise<Grant>;

/**
 * Makes a policy for the options `authorize` and `admin` of `StreamServerProxy`: a caller may do what its access token
 * says. A token is a JWT with the claims "exp" and "streams", a map from patterns of names to rights.
 *
 * - A token with the claim "streams_admin" is an operator's, for the option `admin`.
 * - `sub`, `name` and `meta` of a token reach the listener as `stream.caller`.
 * - Callers are refused with FAILURE_NOT_PERMITTED: with the code `unauthenticated` without a token or with one that is
 *   not good, and with `permission_denied` if the token does not allow what they want.
 * - Throws a TypeError for an unknown option or one of a wrong type, and a RangeError for a value that cannot be.
 *
 * @example
 * const proxy = StreamServerProxy({ authorize: tokenPolicy({ secret: process.env.ACCESS_SECRET }) });
 * // A token's claims: { "sub": "ann", "exp": 1790000000, "streams": { "room/*": ["connect"], "user/{sub}": ["listen"] } }
 */
export function tokenPolicy(options: TokenPolicyOptions): TokenPolicy {
  const { anonymous, expiredTokensCut, clockToleranceMs, now, ...verifierInit } = checkedPolicyOptions(options);
  const observers = new Set<(trouble: KeySetTrouble) => void>();
  const onKeySetTrouble = (trouble: KeySetTrouble) => {
    for (const observer of observers) observer(trouble);
  };
  const verifier = new AccessVerifier({ ...verifierInit, clockToleranceMs, now, onKeySetTrouble });
  const verified = new VerifiedTokens();
  const grantTo = (request: AuthorizeRequest | AdminRequest, claims: AccessClaims): Grant => {
    const { rights, subject, name, meta, tokenId, issuedAtMs, isAdmin } = claims;
    const cut = claims.cut || expiredTokensCut;
    // A cut comes within 5 s of the expiry, so the tolerance does not put it off.
    const expiresAtMs = cut ? claims.expiresAtMs : claims.expiresAtMs + clockToleranceMs;
    const grant = allowed(request, { rights, isAdmin }, subject);
    // By a clock that is ahead the token was made so much earlier. A revocation meanwhile is to count for it.
    const earliestMs = issuedAtMs - clockToleranceMs;
    return { ...grant, subject, name, meta, tokenId, issuedAtMs: earliestMs, expiresAtMs, cut };
  };
  const policy: TokenPolicy = (request) => {
    const { token } = request;
    if (token === "") {
      if (anonymous === undefined) throw tokenError("there is none");
      return allowed(request, { rights: anonymous, isAdmin: false }, undefined);
    }
    if (token.length > maxAccessTokenBytes) throw tokenError(`it has more than ${maxAccessTokenBytes} bytes`);
    const known = verified.claimsOf(token, now());
    if (known !== undefined) return grantTo(request, known);
    return verifier.verify(token).then((claims) => {
      verified.add(token, claims, now());
      return grantTo(request, claims);
    });
  };
  observersOf.set(policy, observers);
  return policy;
}

/** Those who hear of trouble with the key set of a policy. */
const observersOf = new WeakMap<object, Set<(trouble: KeySetTrouble) => void>>();

/**
 * Calls `observer` with each trouble of a policy's key set, until the returned function is called. Does nothing for a
 * policy that `tokenPolicy` has not made.
 */
export function observeKeySet(policy: object, observer: (trouble: KeySetTrouble) => void): () => void {
  observersOf.get(policy)?.add(observer);
  return () => observersOf.get(policy)?.delete(observer);
}

/** Returns the grant that rights give. Throws FAILURE_NOT_PERMITTED if they give none. */
function allowed(
  request: AuthorizeRequest | AdminRequest,
  { rights, isAdmin }: Pick<AccessClaims, "rights" | "isAdmin">,
  subject: string | undefined,
): Grant {
  if (request.action === "admin") {
    if (isAdmin) return {};
    throw new StreamError("the access token is not one of an operator", { failure: Failure.NOT_PERMITTED });
  }
  const { action, name } = request;
  if (action === "list" && rights.allowSome("list")) {
    return { shows: rights.testFor("list", subject) };
  }
  if (action !== "list" && rights.allow(action, name, subject)) return {};
  const what = action === "list" ? "list names" : `${wordsFor[action]} ${JSON.stringify(name)}`;
  throw new StreamError(`the access token gives no right to ${what}`, { failure: Failure.NOT_PERMITTED });
}

const wordsFor = { listen: "listen on", connect: "connect to" };

function checkedPolicyOptions(options: TokenPolicyOptions) {
  const names = ["secret", "publicKey", "jwks", "issuer", "audience", "anonymous", "expiredTokensCut"] as const;
  const given = knownOptions("options of a token policy", options, [...names, "clockToleranceMs", "now"]);
  const { issuer, audience, anonymous, expiredTokensCut = false, now = Date.now } = given;
  const { clockToleranceMs = defaultClockToleranceMs } = given;
  for (const [name, value] of Object.entries({ issuer, audience })) {
    if (value === undefined || (typeof value === "string" && value !== "")) continue;
    throw new TypeError(`${name} is text that is not empty, not ${described(value)}`);
  }
  if (typeof expiredTokensCut !== "boolean") {
    throw new TypeError(`expiredTokensCut is true or false, not ${described(expiredTokensCut)}`);
  }
  if (typeof now !== "function") throw new TypeError(`now is a function, not ${described(now)}`);
  if (!(clockToleranceMs >= 0 && clockToleranceMs <= maxClockToleranceMs)) {
    throw new RangeError(`clockToleranceMs is from 0 to ${maxClockToleranceMs}, not ${described(clockToleranceMs)}`);
  }
  return {
    keys: checkedAccessKeys(given),
    issuer,
    audience,
    anonymous: anonymous === undefined ? undefined : CheckedRights.from(anonymous),
    expiredTokensCut,
    clockToleranceMs,
    now,
  };
}
