import { described, knownOptions } from "../admission/known-options.js";
import { maxAccessTokenBytes } from "../admission/policy/authorize.js";
import { randomId } from "../relay/token.js";
import { checkedMeta } from "./access-claims.js";
import { privateAccessKey, secretAccessKey } from "./access-keys.js";
import { CheckedRights, type StreamRights } from "./stream-rights.js";

/** One of `secret` and `privateKey` is given. An option that is `undefined` counts as left out. */
export interface MintTokenOptions {
  /** The secret that is shared with the relay, as bytes or in base64url, of at least 32 bytes. Signs with HS256. */
  secret?: Uint8Array | string | undefined;
  /** A private key in PEM. Signs with RS256, ES256, ES384, ES512 or EdDSA, as the key has it. */
  privateKey?: string | undefined;
  /** The id of the key, for a relay that looks keys up in a key set. */
  keyId?: string | undefined;
  /** The rights of the token's holder, by patterns of names. */
  streams: StreamRights;
  /** Whether the holder is an operator of the relay, who sees all that it holds, and ends it. Default false. */
  admin?: boolean | undefined;
  /** The identity of the holder. Needed where a pattern has `{sub}`. */
  subject?: string | undefined;
  /** How the holder is called, for listeners. */
  name?: string | undefined;
  /** Facts about the holder, for listeners. */
  meta?: Readonly<Record<string, string>> | undefined;
  issuer?: string | undefined;
  audience?: string | undefined;
  /** How long the token is good, in milliseconds, at least 1,000. Default 3,600,000, an hour. */
  ttlMs?: number | undefined;
  /** Whether streams, names and watches of the token end when it expires. Default false. */
  cut?: boolean | undefined;
  /** The id of the token, by which it can be revoked. Default a random one. */
  tokenId?: string | undefined;
  /** The time, in milliseconds since 1970. Default `Date.now`. */
  now?: (() => number) | undefined;
}

/** A token that leaks is of use for an hour, and a stream that outlives it goes on. */
export const defaultTokenTtlMs = 3_600_000;

/**
 * Makes an access token, which lets its holder do what `streams` says at a relay with `tokenPolicy`.
 *
 * - Resolves with the token, which is a secret of its holder.
 * - Rejects with a TypeError for an unknown option or one of a wrong type, and with a RangeError for a value that
 *   cannot be, such as a token of more than 8 KiB.
 *
 * @example
 * const token = await mintToken({ secret, subject: "ann", streams: { "room/*": ["connect"] }, ttlMs: 600_000 });
 */
export async function mintToken(options: MintTokenOptions): Promise<string> {
  const names = ["secret", "privateKey", "keyId", "streams", "subject", "name", "meta", "issuer", "audience"] as const;
  const given = knownOptions("options of a token", options, [...names, "admin", "ttlMs", "cut", "tokenId", "now"]);
  const { secret, privateKey, keyId, streams, subject, name, meta, issuer, audience, admin, cut, tokenId } = given;
  const { ttlMs = defaultTokenTtlMs, now = Date.now } = given;
  if ((secret === undefined) === (privateKey === undefined)) {
    throw new TypeError("one of secret and privateKey signs an access token");
  }
  const { key, algorithms } = secret === undefined ? privateAccessKey(privateKey) : secretAccessKey(secret);
  for (const [option, value] of Object.entries({ keyId, subject, name, issuer, audience, tokenId })) {
    if (value !== undefined && typeof value !== "string")
      throw new TypeError(`${option} is text, not ${described(value)}`);
  }
  // The rights of a token that the relay cannot read would be noticed by its holder only.
  CheckedRights.from(streams);
  if (!Number.isFinite(ttlMs) || ttlMs < 1_000) throw new RangeError(`ttlMs is at least 1000, not ${described(ttlMs)}`);
  const { SignJWT } = await import("jose");
  const issuedAtSeconds = Math.floor(now() / 1_000);
  const payload = {
    sub: subject,
    name,
    meta: checkedMeta(meta),
    iss: issuer,
    aud: audience,
    cut: cut === true ? cut : undefined,
    streams_admin: admin === true ? admin : undefined,
  };
  const claims = {
    ...Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined)),
    jti: tokenId ?? randomId(),
    iat: issuedAtSeconds,
    exp: issuedAtSeconds + Math.floor(ttlMs / 1_000),
    streams,
  };
  const header = { alg: algorithms[0] ?? "", typ: "JWT", ...(keyId === undefined ? {} : { kid: keyId }) };
  const token = await new SignJWT(claims).setProtectedHeader(header).sign(key);
  if (token.length <= maxAccessTokenBytes) return token;
  throw new RangeError(`an access token has at most ${maxAccessTokenBytes} bytes, and this one has ${token.length}`);
}
