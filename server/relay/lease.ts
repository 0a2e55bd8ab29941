import type { Message } from "@bufbuild/protobuf";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import type { Offer as WireOffer } from "../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { Condition, Deferred } from "../../stream/platform/deferred.js";
import { Fifo } from "../../stream/platform/fifo.js";
import { quoted, type Warnings } from "./warnings.js";

/** The facts about a client that its listener hears with the offer. The relay passes all of them on as they are. */
export type OfferFacts = Omit<WireOffer, keyof Message | "streamId" | "legToken" | "acceptTimeoutMs">;

/** The place where an offer waits. */
export interface OfferPlace {
  /** Removes an offer that no longer waits, by decision of its listener or of the relay. */
  settle(offer: Offer, by: "listener" | "relay"): void;
}

/** A client that waits for a listener to accept its stream. */
export interface Offer {
  /** The id of the stream. */
  readonly id: string;
  readonly facts: OfferFacts;
  /**
   * The offer waits at this place from now on, and no longer at the one before. It ends with `lateError` when
   * `timeoutMs` are over, and calls `settle` of the place when it no longer waits.
   */
  waitAt(place: OfferPlace, timeoutMs: number, lateError: () => StreamError): void;
  /** Ends the wait, by decision of the relay. */
  decline(error: StreamError): void;
}

/** An event on the listener's `Listen` call. */
export type LeaseEvent = { kind: "offer"; offer: Offer } | { kind: "withdrawn"; streamId: string };

/** The cause of a lease's end: `Unlisten`, a cancelled `Listen`, a broken `Listen`, or the end of the relay. */
export type LeaseEnd = "unlisten" | "canceled" | "lost" | "relay closed";

export interface LeaseInit {
  id: string;
  name: string;
  listed: boolean;
  maxOffers: number;
  acceptTimeoutMs: number;
  warnings: Warnings;
}

/** One listener's hold on one name, and the offers that wait at it. */
export class Lease implements OfferPlace {
  readonly id: string;
  readonly name: string;
  readonly listed: boolean;
  /** An offer waits this long for the listener, in milliseconds. */
  readonly acceptTimeoutMs: number;
  onEnd: (end: LeaseEnd) => void = () => {};
  readonly #maxOffers: number;
  readonly #warnings: Warnings;
  readonly #offers = new Map<string, Offer>();
  /** Offers that the listener has not heard of yet. An offer that is withdrawn before leaves no trace. */
  readonly #unannounced = new Set<Offer>();
  readonly #withdrawn = new Fifo<string>();
  readonly #changed = new Condition();
  readonly #ended = new Deferred<LeaseEnd>();
  #state: { kind: "live" } | { kind: "ended"; end: LeaseEnd } = { kind: "live" };

  constructor({ id, name, listed, maxOffers, acceptTimeoutMs, warnings }: LeaseInit) {
    this.id = id;
    this.name = name;
    this.listed = listed;
    this.acceptTimeoutMs = acceptTimeoutMs;
    this.#maxOffers = maxOffers;
    this.#warnings = warnings;
  }

  /** Resolves when the lease has ended. */
  get ended(): Promise<LeaseEnd> {
    return this.#ended.promise;
  }

  get offers(): number {
    return this.#offers.size;
  }

  /** Announces a client, which waits at this lease from now on. Throws FAILURE_LIMIT_REACHED. */
  offer(offer: Offer): void {
    if (this.#offers.size >= this.#maxOffers) {
      const message = `${this.#maxOffers} clients wait at ${quoted(this.name)} already`;
      throw this.#warnings.limitReached("maxOffersPerName", message);
    }
    this.#offers.set(offer.id, offer);
    this.#unannounced.add(offer);
    offer.waitAt(this, this.acceptTimeoutMs, () => notAcceptedError(this.acceptTimeoutMs));
    this.#changed.notify();
  }

  /** Removes an offer that no longer waits. The listener is told, unless it took or declined the offer itself. */
  settle(offer: Offer, by: "listener" | "relay"): void {
    if (!this.#offers.delete(offer.id)) return;
    if (this.#unannounced.delete(offer) || by === "listener") return;
    this.#withdrawn.push(offer.id);
    this.#changed.notify();
  }

  /** Yields the events for the listener until the lease ends, and returns why it ended. */
  async *events(): AsyncGenerator<LeaseEvent, LeaseEnd, undefined> {
    for (;;) {
      if (this.#state.kind === "ended") return this.#state.end;
      const streamId = this.#withdrawn.shift();
      if (streamId !== undefined) {
        yield { kind: "withdrawn", streamId };
        continue;
      }
      const [offer] = this.#unannounced;
      if (offer !== undefined) {
        this.#unannounced.delete(offer);
        yield { kind: "offer", offer };
        continue;
      }
      await this.#changed.changed();
    }
  }

  /** Ends the lease: the name is free, and clients that wait are told. Accepted streams live on. */
  end(end: LeaseEnd): void {
    if (this.#state.kind === "ended") return;
    this.#state = { kind: "ended", end };
    this.#withdrawn.clear();
    this.#unannounced.clear();
    for (const offer of [...this.#offers.values()]) {
      offer.decline(new StreamError("the listener has gone", { failure: Failure.LISTENER_GONE }));
    }
    this.onEnd(end);
    this.#ended.resolve(end);
    this.#changed.notify();
  }
}

function notAcceptedError(acceptTimeoutMs: number): StreamError {
  return new StreamError(`the listener did not accept within ${acceptTimeoutMs} ms`, {
    failure: Failure.NOT_ACCEPTED_IN_TIME,
  });
}
