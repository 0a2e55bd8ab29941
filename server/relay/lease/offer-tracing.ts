import type { StreamError } from "../../../stream/error/stream-error.js";

/** An offer whose trace has begun. */
export interface TracedOffer {
  /** The metadata for the listener: those of the client, with the context in which the listener goes on. */
  readonly metadata: Record<string, string>;
  /** The stream was not offered after all. */
  fail(error: StreamError): void;
}

/** Begins the trace of each stream that is offered. How it goes on is told by the events of the relay. */
export interface OfferTracing {
  begin(streamId: string, name: string, metadata: Record<string, string>): TracedOffer;
}
