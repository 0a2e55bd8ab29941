import type { Transport } from "@connectrpc/connect";
import type { Clock } from "../../stream/clock.js";
import { bidiObstacle } from "./bidi-probe.js";
import { createFetchTransport } from "./fetch-link.js";

/** A Connect transport, or the base URL of a relay. */
export type TransportLike = Transport | string | URL;

/** What differs between a browser and Node: how to reach a relay of which only the URL is known. */
export type TransportFactory = (relayUrl: string, clock: Clock) => Promise<Transport>;

/**
 * Turns what the application hands in into a transport that carries every kind of RPC. The same transport or URL gives the
 * same answer, so that everything in a page shares one link.
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

  /** `prefix` belongs to a URL; a transport has its own. Rejects if the relay cannot be reached to find out. */
  resolve(transport: TransportLike, prefix: string): Promise<Transport> {
    if (typeof transport !== "string" && !(transport instanceof URL)) return this.#resolveTransport(transport);
    const url = relayUrl(transport, prefix);
    const known = this.#byUrl.get(url);
    if (known !== undefined) return known;
    const resolved = this.#create(url, this.#clock);
    this.#byUrl.set(url, resolved);
    // What could not be found out is asked again the next time.
    resolved.catch(() => this.#byUrl.delete(url));
    return resolved;
  }

  #resolveTransport(transport: Transport): Promise<Transport> {
    const known = this.#byTransport.get(transport);
    if (known !== undefined) return known;
    const resolved = bidiObstacle(transport).then((obstacle) =>
      obstacle === undefined ? transport : createFetchTransport(transport, this.#clock),
    );
    this.#byTransport.set(transport, resolved);
    resolved.catch(() => this.#byTransport.delete(transport));
    return resolved;
  }
}

function relayUrl(base: string | URL, prefix: string): string {
  const url = new URL(base, globalThis.location?.href);
  return (
    `${url.origin}${url.pathname}`.replace(/\/+$/, "") + (prefix === "" ? "" : `/${prefix.replace(/^\/+|\/+$/g, "")}`)
  );
}
