import type { Transport } from "@connectrpc/connect";
import { callError } from "../../stream/error/failure-detail.js";
import type { Clock } from "../../stream/platform/clock.js";
import { bidiObstacle } from "./bidi-probe.js";
import { createFetchTransport } from "./fetch-transport.js";
import { type RelayUrl, relayUrl } from "./relay-url.js";

/** A Connect transport, or the base URL of a relay. */
export type TransportLike = Transport | string | URL;

/** By what it has: a URL may be of another realm, whose class is another. */
export function isTransport(transport: TransportLike): transport is Transport {
  return typeof transport === "object" && transport !== null && "unary" in transport;
}

/** Reaches a relay of which only the URL is known, as the platform can. */
export type TransportFactory = (url: RelayUrl, clock: Clock) => Promise<Transport>;

/**
 * Turns what the application hands in into a transport that carries every kind of RPC. The same transport or URL gives
 * the same answer, so that everything in a page shares one link.
 */
export class Transports {
  readonly #create: TransportFactory;
  readonly #clock: Clock;
  readonly #byUrl = new Map<string, Promise<Transport>>();
  readonly #byTransport = new WeakMap<Transport, Promise<Transport>>();

  constructor(create: TransportFactory, clock: Clock) {
    this.#create = create;
    this.#clock = clock;
  }

  /**
   * A prefix is added to a URL alone; a transport has its own. Rejects if the relay cannot be reached to find out, and
   * with `invalid_argument` for a URL that cannot be a relay's.
   */
  async resolve(transport: TransportLike, prefix: string): Promise<Transport> {
    if (isTransport(transport)) return this.#resolveTransport(transport);
    const url = relayUrl(transport, prefix);
    const key = `${url.username}:${url.password}@${url.href}`;
    const known = this.#byUrl.get(key);
    if (known !== undefined) return known;
    const resolved = this.#create(url, this.#clock);
    this.#byUrl.set(key, resolved);
    // A relay that could not be reached is asked again the next time.
    resolved.catch(() => this.#byUrl.delete(key));
    return resolved;
  }

  #resolveTransport(transport: Transport): Promise<Transport> {
    const known = this.#byTransport.get(transport);
    if (known !== undefined) return known;
    const resolved = bidiObstacle(transport).then(
      (obstacle) => (obstacle === undefined ? transport : createFetchTransport(transport, this.#clock)),
      (reason: unknown) => Promise.reject(callError(reason)),
    );
    this.#byTransport.set(transport, resolved);
    resolved.catch(() => this.#byTransport.delete(transport));
    return resolved;
  }
}
