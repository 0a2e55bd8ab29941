import { Code, type Transport } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import type { Offer } from "../../gen/streamserver/v1/relay_pb.js";
import { capabilitiesFromWire, capabilitiesToWire } from "../../stream/capabilities.js";
import type { Clock } from "../../stream/clock.js";
import type { Codec } from "../../stream/codec.js";
import type { EndpointOptions } from "../../stream/endpoint.js";
import { Leg } from "../../stream/leg.js";
import { Stream } from "../../stream/stream.js";
import { StreamError } from "../../stream/stream-error.js";
import { driveLeg } from "./leg-driver.js";

export interface OfferStreamInit<Out, In> extends EndpointOptions {
  offer: Offer;
  codec: Codec<Out, In>;
  clock: Clock;
  /** Carries bidirectional streams. */
  transport: () => Promise<Transport>;
  reject: (code: Code, reason: string) => Promise<unknown>;
  /** The offer waits no more. */
  onDecided: () => void;
}

type Decision = "open" | "accepted" | "rejected" | "withdrawn";

/** A client at the door: its stream, which the first use accepts, unless it is rejected or withdrawn before. */
export class OfferStream<Out, In> {
  readonly stream: Stream<Out, In>;
  readonly #init: OfferStreamInit<Out, In>;
  readonly #leg: Leg;
  #decision: Decision = "open";

  constructor(init: OfferStreamInit<Out, In>) {
    this.#init = init;
    this.#leg = new Leg(init);
    this.stream = new Stream<Out, In>(this.#leg, {
      codec: init.codec,
      metadata: init.offer.metadata,
      accept: () => this.accept(),
      reject: (error) => this.#reject(error),
    });
    // Destroying a stream that was not accepted is a way of declining it.
    this.#leg.onOver = () => {
      const { state } = this.#leg.endpoint;
      if (state.kind === "resetting") this.#reject(state.error);
    };
  }

  /** Whether `reason` is what the stream ended with. */
  endedBy(reason: unknown): boolean {
    const { state } = this.#leg.endpoint;
    return (state.kind === "failed" || state.kind === "resetting") && state.error === reason;
  }

  /** Takes the offer, if it is still open. */
  accept(): void {
    if (this.#decision !== "open") return;
    this.#decide("accepted");
    const { offer, transport, clock } = this.#init;
    void driveLeg({
      leg: this.#leg,
      transport,
      method: "accept",
      open: {
        streamId: offer.streamId,
        legToken: offer.legToken,
        capabilities: capabilitiesToWire(this.#leg.endpoint.capabilities),
      },
      peer: capabilitiesFromWire(offer.capabilities),
      clock,
    });
  }

  /** The offer waits no more. */
  withdraw(error: StreamError): void {
    if (this.#decision !== "open") return;
    this.#decide("withdrawn");
    this.#leg.fail(error);
  }

  #reject(error: StreamError): void {
    if (this.#decision === "rejected") return;
    if (this.#decision !== "open") throw alreadyDecided(this.#decision);
    this.#decide("rejected");
    this.#leg.fail(error);
    // The client may have gone meanwhile, or the relay: either way there is nobody left to tell.
    this.#init.reject(error.code, error.message).catch(() => {});
  }

  #decide(decision: Exclude<Decision, "open">): void {
    this.#decision = decision;
    this.#init.onDecided();
  }
}

function alreadyDecided(decision: Decision): StreamError {
  return new StreamError(`the offer was ${decision} already`, {
    failure: Failure.OFFER_GONE,
    code: Code.FailedPrecondition,
  });
}
