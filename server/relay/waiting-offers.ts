import { create, toBinary } from "@bufbuild/protobuf";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { OfferSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { RelayLimits } from "../admission/limits.js";
import { quoted, type Warnings } from "../admission/warnings.js";
import type { Offer, OfferPlace } from "./offer.js";

/** The facts of all offers in the queue, in bytes. 4 MiB hold 450 offers with the largest facts of the default limits. */
export const maxWaitingOfferBytes = 4_194_304;

/** The place of an offer in the queue. */
interface Entry {
  name: string;
  bytes: number;
}

/** The offers for names that have no lease, in the order in which they came. */
export class WaitingOffers implements OfferPlace {
  readonly #limits: RelayLimits;
  readonly #warnings: Warnings;
  readonly #entries = new Map<Offer, Entry>();
  readonly #byName = new Map<string, Set<Offer>>();
  #bytes = 0;

  constructor(limits: RelayLimits, warnings: Warnings) {
    this.#limits = limits;
    this.#warnings = warnings;
  }

  /**
   * An offer waits here from now on, and ends with FAILURE_NO_SUCH_NAME when the time is over. Throws
   * FAILURE_LIMIT_REACHED.
   */
  add(name: string, offer: Offer, timeoutMs: number): void {
    const { maxWaitingOffers, maxOffersPerName } = this.#limits;
    const bytes = toBinary(OfferSchema, create(OfferSchema, offer.facts)).byteLength;
    if (this.#entries.size >= maxWaitingOffers || this.#bytes + bytes > maxWaitingOfferBytes) {
      const message = `${this.#entries.size} clients wait for listeners already, with ${this.#bytes} bytes`;
      throw this.#warnings.limitReached("maxWaitingOffers", message);
    }
    const sameName = this.#byName.get(name) ?? new Set();
    if (sameName.size >= maxOffersPerName) {
      const message = `${maxOffersPerName} clients wait for a listener of ${quoted(name)} already`;
      throw this.#warnings.limitReached("maxOffersPerName", message);
    }
    this.#byName.set(name, sameName.add(offer));
    this.#entries.set(offer, { name, bytes });
    this.#bytes += bytes;
    offer.waitAt(this, timeoutMs, () => noSuchNameError(name));
  }

  settle(offer: Offer): void {
    const entry = this.#entries.get(offer);
    if (entry === undefined) return;
    const { name, bytes } = entry;
    this.#entries.delete(offer);
    this.#bytes -= bytes;
    const sameName = this.#byName.get(name);
    sameName?.delete(offer);
    if (sameName?.size === 0) this.#byName.delete(name);
  }

  /** The offers for a name. One that is placed elsewhere is no longer among them. */
  of(name: string): Iterable<Offer> {
    return this.#byName.get(name) ?? [];
  }
}

export function noSuchNameError(name: string): StreamError {
  return new StreamError(`nobody listens on ${JSON.stringify(name)}`, { failure: Failure.NO_SUCH_NAME });
}
