import type { Message } from "@bufbuild/protobuf";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import type { Offer as WireOffer } from "../../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Caller } from "../../admission/caller.js";

/** The facts about a client that its listener hears with the offer. The relay passes all of them on as they are. */
export type OfferFacts = Omit<WireOffer, keyof Message | "streamId" | "legToken" | "acceptTimeoutMs">;

/** The place where an offer waits: a lease, or the queue for names that have none. */
export interface OfferPlace {
  /** The id of the lease. Undefined for the queue. */
  readonly id?: string;
  /** The listener. Undefined for the queue, where nobody can take an offer. */
  readonly caller?: Caller;
  /** Removes an offer that no longer waits, by decision of its listener or of the relay. */
  settle(offer: Offer, by: "listener" | "relay"): void;
}

/** A client that waits for a listener to accept its stream. */
export interface Offer {
  /** The id of the stream. */
  readonly id: string;
  readonly facts: OfferFacts;
  /** The client, or the endpoint by which a stream of another process was made anew. */
  readonly caller: Caller;
  /** The offer waits until then for a listener to come, in milliseconds of the relay's clock. */
  readonly waitUntilMs: number;
  /**
   * The offer waits at this place from now on, and no longer at the one before. It ends with `lateError` when
   * `timeoutMs` are over, and calls `settle` of the place when it no longer waits.
   */
  waitAt(place: OfferPlace, timeoutMs: number, lateError: () => StreamError): void;
  /** Ends the wait, by decision of the relay. */
  decline(error: StreamError): void;
}

/** The error for a call about an offer that no longer waits, or about a stream that is over. */
export function offerGoneError(): StreamError {
  return new StreamError("the offer was taken, declined or withdrawn, or its time ran out, or the stream is over", {
    failure: Failure.OFFER_GONE,
  });
}
