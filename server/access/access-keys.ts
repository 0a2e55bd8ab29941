import { createPrivateKey, createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { types } from "node:util";
import type { JSONWebKeySet, JWK } from "jose";
import { described } from "../admission/known-options.js";
import { maxTokenKeys, tokenKeyBytes } from "../relay/token-keys.js";

/** The keys that verify access tokens. One of the three kinds is given. */
export interface AccessKeyOptions {
  /**
   * A secret that the relay shares with those who make tokens, as bytes or in base64url, of at least 32 bytes; or a
   * list of at most 16, each of which verifies. Tokens are signed with HS256.
   */
  secret?: Uint8Array | string | readonly (Uint8Array | string)[] | undefined;
  /**
   * A public key or certificate in PEM, or a list of at most 16, each of which verifies. Tokens are signed with RS256,
   * ES256, ES384, ES512 or EdDSA, as the key has it.
   */
  publicKey?: string | readonly string[] | undefined;
  /**
   * The URL of a JSON Web Key Set, or the set itself. It is fetched when a token needs it, at most every 30 s for a key
   * that is not in it, and again after 10 min. While it cannot be fetched, the set that was fetched last is good for 24
   * h. The key of a token is found by its id ("kid").
   */
  jwks?: string | URL | JSONWebKeySet | undefined;
}

/** A key, and the only algorithms with which it verifies: a public key is never taken for a shared secret. */
export interface AccessKey {
  key: KeyObject;
  algorithms: readonly string[];
}

export type AccessKeys =
  | { kind: "keys"; keys: readonly AccessKey[] }
  | { kind: "key set"; jwks: JSONWebKeySet }
  | { kind: "key set URL"; url: URL };

/** The algorithms of a key set, whose keys are public ones. Shared secrets are not among them. */
export const keySetAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];

/** Returns the keys. Throws a TypeError or RangeError for keys that cannot be; no message repeats a key. */
export function checkedAccessKeys({ secret, publicKey, jwks }: AccessKeyOptions): AccessKeys {
  const given = [secret, publicKey, jwks].filter((option) => option !== undefined);
  if (given.length !== 1) {
    throw new TypeError(`one of secret, publicKey and jwks verifies access tokens, and ${given.length} are given`);
  }
  if (jwks !== undefined) return checkedKeySet(jwks);
  const keys =
    secret === undefined
      ? checkedList("public", publicKey).map(publicAccessKey)
      : checkedList("secret", secret).map(secretAccessKey);
  return { kind: "keys", keys };
}

/** Returns the key of a shared secret, which signs and verifies. Throws a TypeError or RangeError. */
export function secretAccessKey(secret: unknown): AccessKey {
  const isPem = typeof secret === "string" ? secret.includes(pemMark) : isPemBytes(secret);
  // The bytes of a public key are known to many, and each of them could make tokens.
  if (isPem) throw new TypeError("a shared secret is random bytes, and the given one is a key in PEM");
  return { key: createSecretKey(tokenKeyBytes(secret)), algorithms: ["HS256"] };
}

const pemMark = "-----BEGIN";

function isPemBytes(secret: unknown): boolean {
  return types.isUint8Array(secret) && Buffer.from(secret).includes(pemMark);
}

/** Returns the key that signs, from PEM. Throws a TypeError or RangeError for text that is no private key in PEM. */
export function privateAccessKey(pem: unknown): AccessKey {
  if (typeof pem === "string" && /BEGIN (PUBLIC KEY|RSA PUBLIC KEY|CERTIFICATE)/.test(pem)) {
    throw new TypeError("a key that signs access tokens is private, and the given one is public");
  }
  if (typeof pem === "string" && pem.includes("ENCRYPTED")) {
    throw new TypeError("the private key of access tokens has a passphrase: openssl pkey -in KEY writes it without");
  }
  return pemAccessKey("private", pem, createPrivateKey);
}

function publicAccessKey(pem: unknown): AccessKey {
  // Node takes the public key out of a private one, which has no business at the relay.
  if (typeof pem === "string" && pem.includes("PRIVATE KEY")) {
    throw new TypeError(
      "a key that verifies access tokens is public, and the given one is private: " +
        "openssl pkey -pubout -in KEY writes the public one",
    );
  }
  return pemAccessKey("public", pem, createPublicKey);
}

function pemAccessKey(kind: "public" | "private", pem: unknown, parse: (pem: string) => KeyObject): AccessKey {
  if (typeof pem !== "string") throw new TypeError(`a ${kind} key is text in PEM, not ${described(pem)}`);
  let key: KeyObject;
  try {
    key = parse(pem);
  } catch {
    throw new TypeError(`the ${kind} key of access tokens is no ${kind} key in PEM`);
  }
  return { key, algorithms: algorithmsOf(key) };
}

/** RFC 7518, section 3.3, asks for it. */
const minRsaBits = 2_048;

/**
 * The first algorithm signs. Throws a RangeError for a key that is too short, and a TypeError for one of another kind.
 */
function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string[] {
  const { namedCurve: curve, modulusLength = 0 } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === "rsa" && modulusLength < minRsaBits) {
    const remedy = `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:${minRsaBits} makes a longer one`;
    throw new RangeError(`an RSA key of access tokens has ${minRsaBits} bits or more, not ${modulusLength}: ${remedy}`);
  }
  if (asymmetricKeyType === "rsa") return ["RS256"];
  if (asymmetricKeyType === "ed25519") return ["EdDSA", "Ed25519"];
  if (curve === "prime256v1") return ["ES256"];
  if (curve === "secp384r1") return ["ES384"];
  if (curve === "secp521r1") return ["ES512"];
  throw new TypeError(
    `a key of access tokens is of RSA, P-256, P-384, P-521 or Ed25519, not ${curve ?? asymmetricKeyType}`,
  );
}

function checkedList(kind: string, value: unknown): readonly unknown[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > 0 && list.length <= maxTokenKeys) return list;
  throw new RangeError(`there are 1 to ${maxTokenKeys} ${kind} keys of access tokens, not ${list.length}`);
}

function checkedKeySet(jwks: unknown): AccessKeys {
  if (typeof jwks === "string" || jwks instanceof URL) return { kind: "key set URL", url: checkedKeySetUrl(jwks) };
  const keys: unknown = typeof jwks === "object" && jwks !== null && "keys" in jwks ? jwks.keys : undefined;
  if (!Array.isArray(keys)) throw new TypeError(`jwks is a URL or a key set, not ${described(jwks)}`);
  const fault = keySetFault(jwks as JSONWebKeySet);
  if (fault !== undefined) throw new TypeError(fault);
  return { kind: "key set", jwks: jwks as JSONWebKeySet };
}

/**
 * Says why keys of a set cannot verify, or should not be in it; undefined if there is no fault. Keys for encryption and
 * those of other kinds are left alone, because a set may have other uses as well.
 */
export function keySetFault({ keys }: JSONWebKeySet): string | undefined {
  let verifying = 0;
  for (const [index, jwk] of keys.entries()) {
    const which = `key ${index + 1} of the key set`;
    if (typeof jwk !== "object" || jwk === null) return `${which} is no key`;
    if (jwk.kty === "oct") return `${which} is a shared secret, and the keys of a set are public`;
    if (jwk.d !== undefined) return `${which} is a private key, and the keys of a set are public`;
    if (!isForSignatures(jwk)) continue;
    try {
      algorithmsOf(createPublicKey({ key: jwk as JsonWebKey, format: "jwk" }));
    } catch (reason) {
      // The words of Node repeat no key, but say little.
      const why = reason instanceof RangeError ? reason.message : "it is malformed";
      return `${which} cannot verify access tokens: ${why}`;
    }
    verifying += 1;
  }
  return verifying > 0 ? undefined : "the key set has no key that verifies access tokens";
}

const signingCurves: ReadonlySet<unknown> = new Set(["P-256", "P-384", "P-521", "Ed25519"]);

function isForSignatures({ kty, crv, use, key_ops: operations }: JWK): boolean {
  if ((use ?? "sig") !== "sig" || operations?.includes("verify") === false) return false;
  return kty === "RSA" || ((kty === "EC" || kty === "OKP") && signingCurves.has(crv));
}

/** Keys that anybody on the way could replace would let anybody in. */
function checkedKeySetUrl(text: string | URL): URL {
  if (!URL.canParse(String(text))) throw new TypeError("the URL of a key set is none");
  const url = new URL(text);
  const isLoopback = url.hostname === "localhost" || url.hostname === "[::1]" || /^127(\.\d+){3}$/.test(url.hostname);
  if (url.protocol === "https:" || (url.protocol === "http:" && isLoopback)) return url;
  throw new RangeError("a key set is fetched over https, or over http from this machine");
}
