import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { minTokenKeyBytes, type TokenKeys } from "./token-keys.js";

/**
 * A token proves a right to one of these: the client's or the listener's leg of a stream, a lease, a link, or visits to
 * a name.
 */
export type TokenPurpose = "client leg" | "listener leg" | "lease" | "link" | "visit";

/** The process that signed a token. */
export type TokenIssuer = "this process" | "another process";

/** 128 unguessable bits in base64url. */
export function randomId(): string {
  return randomBytes(16).toString("base64url");
}

/**
 * Signs and checks tokens: the random id of the process that signed, and an HMAC-SHA256 over the purpose, the id, the
 * name, that process, and what the token carries. A relay with the same key verifies a token of a lease or stream that
 * it has never held, and knows that it is one of another process.
 *
 * A token carries no time: it proves a right to something that is alive or not, so a stream or a lease never dies of
 * the age of its token.
 */
export class TokenSigner {
  /** Key objects, because Node looks at bytes for each HMAC anew, which takes as long as the HMAC itself. */
  readonly #keys: readonly [KeyObject, ...KeyObject[]];
  /** The name of this process in its tokens. */
  readonly #issuer = randomId();

  /**
   * The first key signs, and all keys verify. The default is one random key, whose tokens are worth nothing to another
   * process.
   */
  constructor(keys: TokenKeys = [randomBytes(minTokenKeyBytes)]) {
    const [first, ...others] = keys;
    this.#keys = [createSecretKey(first), ...others.map((key) => createSecretKey(key))];
  }

  /**
   * Returns a token for an id. For a lease it is bound to the name as well, so that the lease can be made anew.
   * `carried` is text without a ".", which the token carries, and which nobody else can change.
   */
  sign(purpose: TokenPurpose, id: string, name = "", carried = ""): string {
    const mac = macOf(this.#keys[0], factsOf(purpose, id, name, this.#issuer, carried)).toString("base64url");
    return carried === "" ? `${this.#issuer}.${mac}` : `${this.#issuer}.${mac}.${carried}`;
  }

  /** Returns the text that a token carries. It is as good as the token, which has to be verified. */
  carriedBy(token: string): string {
    return token.split(".")[2] ?? "";
  }

  /** Returns which process has signed the token. Throws FAILURE_TOKEN_INVALID if none that has one of the keys. */
  verify(purpose: TokenPurpose, id: string, token: string, name = ""): TokenIssuer {
    const [issuer = "", mac = "", carried = "", ...rest] = token.split(".");
    const actual = Buffer.from(mac, "base64url");
    const facts = factsOf(purpose, id, name, issuer, carried);
    // Every key is tried, so that the time that this takes does not tell which of them has signed the token.
    const matches = this.#keys.map((key) => isSame(macOf(key, facts), actual));
    if (rest.length > 0 || !matches.includes(true)) {
      throw new StreamError(`the token is not one of this ${purpose}`, { failure: Failure.TOKEN_INVALID });
    }
    return issuer === this.#issuer ? "this process" : "another process";
  }
}

/** A token that carries nothing is the one that it was before tokens carried anything. */
function factsOf(purpose: TokenPurpose, id: string, name: string, issuer: string, carried: string): string[] {
  return carried === "" ? [purpose, id, name, issuer] : [purpose, id, name, issuer, carried];
}

function macOf(key: KeyObject, facts: readonly string[]): Buffer {
  return createHmac("sha256", key).update(JSON.stringify(facts)).digest();
}

/** Compares in a time that depends on nothing but the lengths. */
function isSame(a: Buffer, b: Buffer): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}
