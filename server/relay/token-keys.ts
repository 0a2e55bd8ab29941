import { randomBytes } from "node:crypto";
import { types } from "node:util";
import { described } from "../admission/known-options.js";

/** The keys of a relay's tokens. The first one signs, and a token of any of them is good. */
export type TokenKeys = readonly [Uint8Array, ...Uint8Array[]];

/** HMAC-SHA256 is as strong as its key up to the length of its hash, 32 bytes. */
export const minTokenKeyBytes = 32;
/** A token is compared with one HMAC for each key, at some microseconds each. A rotation needs two keys. */
export const maxTokenKeys = 16;

/** Text with padding or without, in the alphabet of base64url or of base64, as `openssl rand -base64 32` prints it. */
const base64Text = /^[\w+/-]+={0,2}$/;

/** Returns 32 random bytes in base64url. */
export function newTokenKey(): string {
  return randomBytes(minTokenKeyBytes).toString("base64url");
}

/**
 * Returns the bytes of a key. Throws a TypeError for a value that is neither bytes nor text, and a RangeError for one
 * that has too few bytes or is not base64url. No message repeats a key.
 */
export function tokenKeyBytes(key: unknown): Uint8Array {
  const isText = typeof key === "string";
  // A Uint8Array of another realm is none by `instanceof`.
  if (!isText && !types.isUint8Array(key)) {
    throw new TypeError(`a token key is a Uint8Array or text in base64url, not ${described(key)}`);
  }
  if (isText && !base64Text.test(key)) throw new RangeError("a token key that is text is in base64url");
  const bytes = isText ? Buffer.from(key, "base64url") : Uint8Array.from(key);
  if (bytes.byteLength >= minTokenKeyBytes) return bytes;
  throw new RangeError(`a token key has ${minTokenKeyBytes} bytes or more, not ${bytes.byteLength}`);
}

/** Returns the bytes of all keys. Throws a TypeError or RangeError for keys that cannot be. */
export function checkedTokenKeys(keys: unknown): TokenKeys {
  if (!Array.isArray(keys)) throw new TypeError("the token keys are a list, with the key that signs in front");
  const [first, ...others] = keys.map(tokenKeyBytes);
  if (first === undefined) throw new RangeError("the list of token keys is empty, so none could sign");
  if (keys.length > maxTokenKeys) {
    throw new RangeError(`there are ${keys.length} token keys, more than ${maxTokenKeys}`);
  }
  return [first, ...others];
}
