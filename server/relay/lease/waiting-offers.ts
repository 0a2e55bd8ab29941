import { create, toBinary } from "@bufbuild/protobuf";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { OfferSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Admission, Hold } from "../../admission/admission.js";
import type { Offer, OfferPlace } from "./offer.js";

/** The place of an offer in the queue. */
interface Entry {
  name: string;
  hold: Hold;
}

/** The offers for names that have no lease, in the order in which they came. */
export class WaitingOffers implements OfferPlace {
  readonly #admission: Admission;
  readonly #entries = new Map<Offer, Entry>();
  readonly #byName = new Map<string, Set<Offer>>();

  constructor(admission: Admission) {
    this.#admission = admission;
  }

  /**
   * An offer waits here from now on, and ends with FAILURE_NO_SUCH_NAME when the time is over. Throws
   * FAILURE_LIMIT_REACHED.
   */
  add(name: string, offer: Offer, timeoutMs: number): void {
    const bytes = toBinary(OfferSchema, create(OfferSchema, offer.facts)).byteLength;
    const hold = this.#admission.hold(offer.caller, { kind: "waiting offer", name, bytes });
    const sameName = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, sameName.add(offer));
    this.#entries.set(offer, { name, hold });
    offer.waitAt(this, timeoutMs, () => noSuchNameError(name));
  }

  settle(offer: Offer): void {
    const entry = this.#entries.get(offer);
    if (entry === undefined) return;
    const { name, hold } = entry;
    this.#entries.delete(offer);
    hold.release();
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
