/** A refusal of WebSockets is remembered this long. A proxy's settings, or the network, may have changed by then. */
const refusalAgeMs = 600_000;
/**
 * Failures that a browser does not explain are remembered this long, for they may be accidents, as while a relay
 * restarts.
 */
const failureAgeMs = 60_000;

type Store = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/**
 * Remembers that a relay's WebSockets are refused, for ten minutes, or for one if that is not certain: in a storage if
 * one can be had, or else by itself.
 */
export class LinkMemory {
  readonly #key: string;
  readonly #storage: () => Store | undefined;
  #untilMs = 0;

  constructor(relayUrl: string, storage: () => Store | undefined = () => undefined) {
    this.#key = `browser-stream-server: no WebSocket to ${relayUrl} until`;
    this.#storage = storage;
  }

  /** How long the refusal is still believed; 0 if there is none. */
  get leftMs(): number {
    const untilMs = Number(this.#stored((storage) => storage?.getItem(this.#key)) ?? this.#untilMs);
    const leftMs = untilMs - Date.now();
    // A clock that was set back says nothing about the proxy.
    return leftMs > 0 && leftMs <= refusalAgeMs ? leftMs : 0;
  }

  refuse(isCertain: boolean): void {
    this.#untilMs = Date.now() + (isCertain ? refusalAgeMs : failureAgeMs);
    this.#stored((storage) => storage?.setItem(this.#key, String(this.#untilMs)));
  }

  forget(): void {
    this.#untilMs = 0;
    this.#stored((storage) => storage?.removeItem(this.#key));
  }

  #stored<T>(use: (storage: Store | undefined) => T): T | undefined {
    try {
      return use(this.#storage());
    } catch {
      // A page may have no storage, or a full one.
      return undefined;
    }
  }
}

/** A memory as long as the session of the browser's tab; as long as the page where a page may store nothing. */
export function sessionMemory(relayUrl: string): LinkMemory {
  return new LinkMemory(relayUrl, () => sessionStorage);
}
