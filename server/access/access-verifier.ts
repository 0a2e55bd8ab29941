import { Code } from "@connectrpc/connect";
import type { JWTPayload, JWTVerifyGetKey, JWTVerifyOptions } from "jose";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { type AccessClaims, accessClaims } from "./access-claims.js";
import { type AccessKeys, keySetAlgorithms } from "./access-keys.js";
import { FetchedKeySet, type KeySetTrouble } from "./fetched-key-set.js";

export interface AccessVerifierInit {
  keys: AccessKeys;
  issuer: string | undefined;
  audience: string | undefined;
  clockToleranceMs: number;
  /** Milliseconds since 1970. */
  now: () => number;
  /** How long a key that is not in the key set is not looked for again. Default 30,000. */
  keySetCooldownMs?: number | undefined;
  /** Called when a key set cannot be fetched, or has keys that cannot verify. */
  onKeySetTrouble?: ((trouble: KeySetTrouble) => void) | undefined;
}

type Jose = typeof import("jose");
/** Verifies the signature and the registered claims. */
type Verify = (token: string, options: JWTVerifyOptions) => Promise<JWTPayload>;

/** Verifies access tokens: their form, signature, and claims. It remembers none of them. */
export class AccessVerifier {
  readonly #init: AccessVerifierInit;
  #verify: Promise<Verify> | undefined;

  constructor(init: AccessVerifierInit) {
    this.#init = init;
  }

  /**
   * Returns the claims of a token.
   *
   * - Rejects with FAILURE_NOT_PERMITTED and the code `unauthenticated` for a token that is not good, and with
   *   `unavailable` if the keys cannot be fetched. No message repeats any of the token.
   */
  async verify(token: string): Promise<AccessClaims> {
    if (!isCompact(token)) throw tokenError("it is no JWT");
    const { keys, issuer, audience, clockToleranceMs, now } = this.#init;
    // The library is loaded by the first token: a relay without a policy never needs it.
    this.#verify ??= import("jose").then((jose) => this.#verifyWith(jose, keys));
    const verify = await this.#verify;
    const nowMs = now();
    const options: JWTVerifyOptions = {
      clockTolerance: clockToleranceMs / 1_000,
      currentDate: new Date(nowMs),
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    };
    let payload: JWTPayload;
    try {
      payload = await verify(token, options);
    } catch (reason) {
      throw refusalFor(reason);
    }
    // RFC 7519, section 4.1.3: a token for others is refused by whoever is not among them.
    if (audience === undefined && payload.aud !== undefined) throw tokenError("it is for another audience");
    try {
      return accessClaims(payload, { nowMs, toleranceMs: clockToleranceMs });
    } catch (reason) {
      throw tokenError((reason as Error).message);
    }
  }

  #verifyWith(jose: Jose, keys: AccessKeys): Verify {
    if (keys.kind !== "keys") {
      const getKey = this.#keySet(jose, keys);
      return async (token, options) => {
        return (await jose.jwtVerify(token, getKey, { ...options, algorithms: keySetAlgorithms })).payload;
      };
    }
    return async (token, options) => {
      let failed: unknown;
      for (const { key, algorithms } of keys.keys) {
        try {
          return (await jose.jwtVerify(token, key, { ...options, algorithms: [...algorithms] })).payload;
        } catch (reason) {
          // The token may be that of the next key. Claims are looked at only under a good signature.
          if (!isOtherKey(reason)) throw reason;
          failed = reason;
        }
      }
      throw failed;
    };
  }

  #keySet(jose: Jose, keys: Exclude<AccessKeys, { kind: "keys" }>): JWTVerifyGetKey {
    if (keys.kind === "key set") return jose.createLocalJWKSet(keys.jwks);
    const { keySetCooldownMs: cooldownMs, now, onKeySetTrouble: onTrouble = () => {} } = this.#init;
    return new FetchedKeySet(jose, { url: keys.url, now, cooldownMs, onTrouble }).getKey;
  }
}

/** The error of a token that is not good. */
export function tokenError(why: string): StreamError {
  return new StreamError(`the access token is refused: ${why}`, {
    failure: Failure.NOT_PERMITTED,
    code: Code.Unauthenticated,
  });
}

const compactForm = /^[\w-]+\.[\w-]+\.([\w-]+)$/;

/**
 * Whether a token is a JWS in its compact form. Decoders of base64url ignore the last bits of a text, so that several
 * texts are the same signature; only the one that an encoder writes is taken.
 */
function isCompact(token: string): boolean {
  const [, signature] = compactForm.exec(token) ?? [];
  return signature !== undefined && Buffer.from(signature, "base64url").toString("base64url") === signature;
}

function codeOf(reason: unknown): string {
  return reason instanceof Error && "code" in reason ? String(reason.code) : "";
}

function isOtherKey(reason: unknown): boolean {
  const code = codeOf(reason);
  return code === "ERR_JWS_SIGNATURE_VERIFICATION_FAILED" || code === "ERR_JOSE_ALG_NOT_ALLOWED";
}

/** The library's own words are left out, for some of them repeat what is in the token. */
function refusalFor(reason: unknown): StreamError {
  if (reason instanceof StreamError) return reason;
  switch (codeOf(reason)) {
    case "ERR_JWT_EXPIRED":
      return tokenError("it has expired");
    case "ERR_JWT_CLAIM_VALIDATION_FAILED":
      return tokenError(wordsForClaim(String((reason as { claim?: unknown }).claim)));
    case "ERR_JOSE_ALG_NOT_ALLOWED":
    case "ERR_JOSE_NOT_SUPPORTED":
      return tokenError("its algorithm is not the one of the key");
    case "ERR_JWS_SIGNATURE_VERIFICATION_FAILED":
    case "ERR_JWKS_NO_MATCHING_KEY":
      return tokenError("none of the keys has signed it");
    case "ERR_JWKS_MULTIPLE_MATCHING_KEYS":
      return tokenError("it does not say which key has signed it");
    case "ERR_JWS_INVALID":
    case "ERR_JWT_INVALID":
      return tokenError("it is no JWT");
    default:
      return tokenError("its key cannot verify it");
  }
}

function wordsForClaim(claim: string): string {
  if (claim === "nbf") return "it is not valid yet";
  if (claim === "iss") return "it is of another issuer";
  if (claim === "aud") return "it is for another audience";
  return "one of its claims is not good";
}
