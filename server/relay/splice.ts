import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Capabilities } from "../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Half, type HalfChange } from "./half.js";
import type { Offer, OfferFacts, OfferPlace } from "./offer.js";

export interface SpliceInit {
  id: string;
  facts: OfferFacts;
  clock: Clock;
  maxFrameBytes: number;
  lingerTimeoutMs: number;
  /** The offer waits until then for a listener to come, in milliseconds of the clock. */
  waitUntilMs: number;
  onEnd: (splice: Splice) => void;
}

type SpliceState =
  /** The client waits nowhere yet. */
  | { kind: "unoffered" }
  /** The client waits; the offer ends by itself at a deadline. */
  | { kind: "offered"; place: OfferPlace; cancelDeadline: () => void }
  | { kind: "spliced" }
  /** Both endpoints have sent fin: their requests should end soon. */
  | { kind: "lingering"; cancelDeadline: () => void }
  | { kind: "ended" };

/** One stream in the relay: two halves, and the frames that pass between them. */
export class Splice implements Offer {
  readonly id: string;
  readonly facts: OfferFacts;
  readonly client: Half;
  readonly listener: Half;
  readonly #init: SpliceInit;
  #state: SpliceState = { kind: "unoffered" };

  constructor(init: SpliceInit) {
    this.id = init.id;
    this.facts = init.facts;
    this.#init = init;
    this.client = new Half(init.maxFrameBytes, (change) => this.#onHalf(this.client, this.listener, change));
    this.listener = new Half(init.maxFrameBytes, (change) => this.#onHalf(this.listener, this.client, change));
    this.client.peer = this.listener;
    this.listener.peer = this.client;
  }

  get kind(): SpliceState["kind"] {
    return this.#state.kind;
  }

  get waitUntilMs(): number {
    return this.#init.waitUntilMs;
  }

  waitAt(place: OfferPlace, timeoutMs: number, lateError: () => StreamError): void {
    const before = this.#state;
    const cancelDeadline = this.#init.clock.after(timeoutMs, () => this.decline(lateError()));
    this.#set({ kind: "offered", place, cancelDeadline });
    if (before.kind === "offered" && before.place !== place) before.place.settle(this, "relay");
  }

  /** The listener takes the offer. Throws FAILURE_OFFER_GONE. */
  accept(capabilities: Capabilities | undefined): Half {
    this.#takeOffer();
    this.#set({ kind: "spliced" });
    this.client.announceAccepted(capabilities);
    return this.listener;
  }

  /** The listener declines. Throws FAILURE_OFFER_GONE. */
  reject(error: StreamError): void {
    this.#takeOffer();
    this.end(error, error);
  }

  /** The relay ends the offer for another reason. */
  decline(error: StreamError): void {
    if (this.#state.kind === "offered") this.end(error, error);
  }

  /** Ends both halves, each with its error, or well if there is none. Frames that are in the relay still arrive. */
  end(clientError?: StreamError, listenerError?: StreamError): void {
    if (this.#state.kind === "ended") return;
    if (this.#state.kind === "offered") this.#state.place.settle(this, "relay");
    this.#set({ kind: "ended" });
    this.client.end(clientError);
    this.listener.end(listenerError);
    this.#init.onEnd(this);
  }

  #takeOffer(): void {
    if (this.#state.kind !== "offered") {
      throw new StreamError("the offer was taken, declined or withdrawn, or its time ran out", {
        failure: Failure.OFFER_GONE,
      });
    }
    this.#state.place.settle(this, "listener");
  }

  #onHalf(half: Half, other: Half, change: HalfChange): void {
    if (this.#state.kind === "ended") return;
    if (change instanceof StreamError) {
      const [halfError, otherError] = [change, peerError(change)];
      if (half === this.client) this.end(halfError, otherError);
      else this.end(otherError, halfError);
      return;
    }
    if (change === "reset taken") return this.end();
    const bothFinished = half.said !== "nothing" && other.said !== "nothing";
    if (half.requestEnded && other.requestEnded) return this.end();
    if (half.said === "reset" && this.#state.kind === "offered") return this.end();
    if (bothFinished) this.#linger();
  }

  /** Every frame starts the wait anew: the last acks may be slow, but they come. */
  #linger(): void {
    if (this.#state.kind === "offered") return;
    this.#set({
      kind: "lingering",
      cancelDeadline: this.#init.clock.after(this.#init.lingerTimeoutMs, () => this.end()),
    });
  }

  #set(state: SpliceState): void {
    if (this.#state.kind === "offered" || this.#state.kind === "lingering") this.#state.cancelDeadline();
    this.#state = state;
  }
}

/** The error that the peer gets when a leg failed. */
function peerError(error: StreamError): StreamError {
  const failure = error.failure === Failure.PEER_CANCELED ? Failure.PEER_CANCELED : Failure.LEG_LOST;
  return new StreamError(`the other side: ${error.message}`, { failure, hop: Hop.PEER });
}
