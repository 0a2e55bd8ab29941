import { Code } from "@connectrpc/connect";
import type { JSONWebKeySet } from "jose";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { messageOf, StreamError } from "../../stream/error/stream-error.js";
import { quoted } from "../admission/warnings.js";
import { keySetFault } from "./access-keys.js";

type Jose = typeof import("jose");
/** Finds the key of a token by its header. */
type GetKey = (...token: Parameters<ReturnType<Jose["createLocalJWKSet"]>>) => Promise<CryptoKey>;

/** Trouble with a key set that its operator can do something about. */
export interface KeySetTrouble {
  /** One line that says the trouble and what comes of it. */
  message: string;
  error: unknown;
}

export interface FetchedKeySetInit {
  url: URL;
  /** Milliseconds since 1970. */
  now: () => number;
  /** How long a key that is not in the key set is not looked for again. Default 30,000. */
  cooldownMs?: number | undefined;
  onTrouble: (trouble: KeySetTrouble) => void;
}

/**
 * A key set that could not be fetched is asked for again after this long, so that callers cannot hammer its address.
 */
const failedFetchPauseMs = 1_000;
/**
 * While a set cannot be fetched, those whose keys are known wait for another attempt at most this often, because one
 * may take 5 s.
 */
const staleFetchPauseMs = 30_000;
/**
 * A set that cannot be fetched anew verifies for this long. An issuer that is down for a day is noticed, and a key that
 * was taken out of its set meanwhile counts no longer than that.
 */
export const maxStaleKeySetMs = 86_400_000;

/**
 * A JSON Web Key Set at a URL. It is fetched when a token needs it, again when a token names a key that it does not
 * have, and after 10 min. While it cannot be fetched, the last set goes on to verify, for a day.
 */
export class FetchedKeySet {
  readonly #init: FetchedKeySetInit;
  readonly #createLocal: Jose["createLocalJWKSet"];
  readonly #remote: ReturnType<Jose["createRemoteJWKSet"]>;
  /** The last set that was fetched. */
  #last: { getKey: GetKey; fetchedAtMs: number } | undefined;
  /** Why the last attempt to fetch the set failed. Undefined if it did not. */
  #failure: { error: StreamError; atMs: number } | undefined;

  constructor({ createLocalJWKSet, createRemoteJWKSet }: Jose, init: FetchedKeySetInit) {
    this.#init = init;
    this.#createLocal = createLocalJWKSet;
    this.#remote = createRemoteJWKSet(init.url, { cooldownDuration: init.cooldownMs ?? 30_000 });
  }

  /**
   * Resolves with the key of a token. Rejects with `unavailable` if the set cannot be fetched, and with an error of
   * `jose` if the set has no such key, or one that is malformed.
   */
  readonly getKey: GetKey = async (...token) => {
    if (this.#remote.fresh) return this.#findFresh(...token);
    const known = await this.#find(...token).catch(() => undefined);
    if (known !== undefined && this.#failedWithinMs(staleFetchPauseMs)) return known;
    try {
      await this.#fetch();
    } catch (reason) {
      if (known === undefined) throw reason;
      return known;
    }
    return this.#find(...token);
  };

  async #findFresh(...token: Parameters<GetKey>): Promise<CryptoKey> {
    try {
      return await this.#find(...token);
    } catch (reason) {
      if (!isUnknownKey(reason) || this.#remote.coolingDown) throw reason;
    }
    await this.#fetch();
    return this.#find(...token);
  }

  /** Finds a key in the last set, unless it is too old. */
  async #find(...token: Parameters<GetKey>): Promise<CryptoKey> {
    const last = this.#last;
    if (last === undefined || this.#goodForMs <= 0) throw unfetchedError(undefined);
    return last.getKey(...token);
  }

  /** The time for which the last set goes on to verify if it cannot be fetched anew. */
  get #goodForMs(): number {
    return this.#last === undefined ? 0 : this.#last.fetchedAtMs + maxStaleKeySetMs - this.#init.now();
  }

  #failedWithinMs(ms: number): boolean {
    return this.#failure !== undefined && this.#init.now() < this.#failure.atMs + ms;
  }

  /** Fetches the set. Rejects at once if an attempt failed just now. */
  async #fetch(): Promise<void> {
    const { now, url, onTrouble } = this.#init;
    if (this.#failure !== undefined && this.#failedWithinMs(failedFetchPauseMs)) throw this.#failure.error;
    const place = quoted(url.origin + url.pathname);
    try {
      await this.#remote.reload();
    } catch (error) {
      this.#failure = { error: unfetchedError(error), atMs: now() };
      const goodForMs = this.#goodForMs;
      const outcome =
        goodForMs > 0
          ? `tokens of the keys that are known are good for another ${Math.ceil(goodForMs / 60_000)} min`
          : "its tokens are refused";
      const why = quoted(messageOf((error as Error).cause ?? error));
      onTrouble({ message: `the key set at ${place} cannot be fetched, so ${outcome}: ${why}`, error });
      throw this.#failure.error;
    }
    this.#failure = undefined;
    const jwks = this.#remote.jwks() as JSONWebKeySet;
    this.#last = { getKey: this.#createLocal(jwks), fetchedAtMs: now() };
    const fault = keySetFault(jwks);
    if (fault !== undefined) onTrouble({ message: `at ${place}, ${fault}`, error: new Error(fault) });
  }
}

function isUnknownKey(reason: unknown): boolean {
  return (reason as { code?: unknown }).code === "ERR_JWKS_NO_MATCHING_KEY";
}

function unfetchedError(cause: unknown): StreamError {
  return new StreamError("the keys of access tokens cannot be fetched", {
    failure: Failure.NOT_PERMITTED,
    code: Code.Unavailable,
    cause,
  });
}
