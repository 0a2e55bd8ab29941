import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { type Capabilities, Feature } from "../../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Clock } from "../../../stream/platform/clock.js";
import type { Caller, Claims } from "../../admission/caller.js";
import type { Holder } from "../../admission/held-bytes.js";
import type { CarriedGrant } from "../../admission/policy/carried-grant.js";
import type { GrantHold, Grants } from "../../admission/policy/grants.js";
import { type Offer, type OfferFacts, type OfferPlace, offerGoneError } from "../lease/offer.js";
import type { StreamChange } from "../relay-events.js";
import { Half, type HalfChange, type LegEnd, type Role } from "./half.js";
import { resetFrame } from "./relayed-frame.js";
import {
  accounted,
  clientAwayError,
  finishedEnd,
  listenerReplacedError,
  peerError,
  relayedEnd,
  resetEnd,
  type StreamEnd,
} from "./stream-end.js";

export interface SpliceInit {
  id: string;
  /** The name that the client connects to. Empty for a stream that was accepted in another process. */
  name: string;
  facts: OfferFacts;
  caller: Caller;
  clock: Clock;
  maxFrameBytes: number;
  lingerTimeoutMs: number;
  /** The offer waits until then for a listener to come, in milliseconds of the clock. */
  waitUntilMs: number;
  /** A stream that can be resumed waits this long for an endpoint whose leg was lost. */
  graceMs: number;
  /** The names, streams and watches that live by the grants of callers. */
  grants: Grants;
  tell: (change: StreamChange) => void;
  /** Called when an endpoint has lost its leg. */
  onLegLost: () => void;
  /** Called when the stream is over, and no endpoint is owed its end. */
  onEnd: (splice: Splice) => void;
}

type SpliceState =
  /** The client waits nowhere yet. */
  | { kind: "unoffered" }
  /** The client waits; the offer ends by itself at a deadline. */
  | { kind: "offered"; place: OfferPlace; cancelDeadline: () => void }
  /** The listener has taken the offer, in this process or, if the stream was made anew, in another one. */
  | { kind: "spliced"; place: OfferPlace | undefined; listener: Capabilities | undefined; isResumable: boolean }
  /** Both endpoints have sent fin and have a leg: their requests should end soon. */
  | { kind: "lingering"; spliced: Spliced; cancelDeadline: () => void }
  /** The stream is over. An endpoint without a leg may still be owed its end. */
  | { kind: "ended"; place: OfferPlace | undefined; wasResumable: boolean };

type Spliced = Extract<SpliceState, { kind: "spliced" }>;

/** One stream in the relay: two halves, and the frames that pass between them. It outlives the calls of its legs. */
export class Splice implements Offer, Holder {
  readonly id: string;
  readonly name: string;
  readonly facts: OfferFacts;
  readonly caller: Caller;
  /** When the relay first held the stream, in milliseconds of the clock. */
  readonly openedAtMs: number;
  readonly client: Half;
  readonly listener: Half;
  readonly #init: SpliceInit;
  #state: SpliceState = { kind: "unoffered" };
  /** The grants by which the client was let in, and the listener when it claimed its name, as far as there are any. */
  readonly #grants: Partial<Record<Role, CarriedGrant & { hold: GrantHold }>> = {};
  /** Undefined as long as the relay stays. */
  #goesAwayAtMs: number | undefined;

  constructor(init: SpliceInit) {
    this.id = init.id;
    this.name = init.name;
    this.facts = init.facts;
    this.caller = init.caller;
    this.#init = init;
    const { clock, maxFrameBytes, graceMs, tell } = init;
    this.openedAtMs = clock.now();
    const onSample = (latencyMs: number) => tell({ kind: "frame relayed", latencyMs });
    const common = { clock, maxFrameBytes, graceMs, onSample };
    this.client = new Half({ ...common, onChange: (change) => this.#onHalf(this.client, change) });
    this.listener = new Half({ ...common, onChange: (change) => this.#onHalf(this.listener, change) });
    this.client.peer = this.listener;
    this.listener.peer = this.client;
  }

  get kind(): SpliceState["kind"] {
    return this.#state.kind;
  }

  /** Whether an endpoint has named a feature. The endpoints of a stream that was made anew have those to resume it. */
  hasFeature(role: Role, feature: Feature): boolean {
    const spliced = this.#state.kind === "lingering" ? this.#state.spliced : this.#state;
    if (spliced.kind === "spliced" && spliced.isResumable) return true;
    const capabilities = role === "client" ? this.facts.capabilities : this.#listener;
    return capabilities?.features.includes(feature) ?? false;
  }

  /** Whether the stream has ended, and an endpoint of it could have come back. */
  get wasResumable(): boolean {
    return this.#state.kind === "ended" && this.#state.wasResumable;
  }

  /** Whether an endpoint has a leg, or the client's first one is just about to come. */
  get hasLeg(): boolean {
    return this.client.kind === "waiting" || this.#halves.some(({ kind }) => kind === "attached");
  }

  /**
   * The place where the offer waits, or waited when it was taken or ended. Undefined for a stream that was not offered,
   * or not in this process.
   */
  get place(): OfferPlace | undefined {
    switch (this.#state.kind) {
      case "unoffered":
        return undefined;
      case "lingering":
        return this.#state.spliced.place;
      default:
        return this.#state.place;
    }
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

  /**
   * An endpoint was let in by a grant, and the stream ends when the grant does. Does nothing for one that has a grant
   * already. Throws FAILURE_NOT_PERMITTED for a grant whose token was revoked.
   */
  liveBy(role: Role, claims: Claims | undefined, name = this.name): void {
    if (claims === undefined || this.#grants[role] !== undefined || this.#state.kind === "ended") return;
    const hold = this.#init.grants.hold({ claims }, (error) => this[role].fail(error));
    this.#grants[role] = { claims, name, hold };
  }

  /** The grant by which an endpoint was let in. A listener has the one of its name once it has accepted. */
  grantOf(role: Role): CarriedGrant | undefined {
    return this.#grants[role];
  }

  releaseGrants(): void {
    for (const grant of Object.values(this.#grants)) grant.hold.release();
  }

  /** The listener takes the offer. Throws FAILURE_OFFER_GONE. */
  accept(capabilities: Capabilities | undefined): Half {
    const place = this.#takeOffer();
    this.liveBy("listener", place.caller?.claims);
    const resumable = isResumable(this.facts.capabilities) && isResumable(capabilities);
    this.#set({ kind: "spliced", place, listener: capabilities, isResumable: resumable });
    this.#init.tell({ kind: "stream accepted", stream: this, waitedMs: this.ageMs });
    this.client.announceAccepted(capabilities);
    if (this.client.kind === "detached" && !resumable) this.#fail(this.client, clientAwayError());
    return this.listener;
  }

  /**
   * Returns the half to which an endpoint attaches again, with an attachment that is newer than those before. Throws
   * FAILURE_FENCED, and FAILURE_FEATURE_UNSUPPORTED for a stream that cannot be resumed.
   *
   * A listener whose `Accept` did not get through takes the offer by that.
   */
  resume(role: Role, generation: number, capabilities: Capabilities | undefined): Half {
    const half = this[role];
    half.checkGeneration(generation);
    if (half.kind === "over" || half.kind === "owed") return half;
    if (role === "listener") this.#hearListener(capabilities);
    if (this.#canResume(half)) return half;
    throw new StreamError("the stream cannot be resumed: its endpoints have not both named the feature", {
      failure: Failure.FEATURE_UNSUPPORTED,
    });
  }

  /**
   * Makes a stream anew that was accepted in another process. One of its endpoints attaches now, and the relay waits
   * for the other one. Throws FAILURE_FENCED for an attachment without a number.
   */
  makeAnew(role: Role, generation: number, capabilities: Capabilities | undefined): void {
    this[role].checkGeneration(generation);
    const listener = role === "listener" ? capabilities : undefined;
    this.#set({ kind: "spliced", place: undefined, listener, isResumable: true });
    for (const half of this.#halves) half.forgetLastWord();
    this[role].peer.detach();
    this.#init.tell({ kind: "stream adopted", stream: this, role });
  }

  /** The listener declines. Throws FAILURE_OFFER_GONE. */
  reject(error: StreamError): void {
    this.#takeOffer();
    const { failure, code } = error;
    this.#end(error, error, { hop: "listener", failure, code, reason: undefined });
  }

  /** The relay ends the offer for another reason. */
  decline(error: StreamError): void {
    if (this.#state.kind !== "offered") return;
    this.#end(error, error, relayedEnd(error.hop === Hop.PEER ? "listener" : "relay", error));
  }

  /**
   * An endpoint that has received the frames up to `receivedSequence` ends the stream, whether it has a leg or not. The
   * peer gets a reset, in front of a frame that waits. Throws FAILURE_OFFER_GONE if the stream is over.
   */
  reset(role: Role, error: StreamError, receivedSequence: number): void {
    if (this.#state.kind === "ended") throw offerGoneError();
    const half = this[role];
    half.putReset(resetFrame(error, receivedSequence));
    this.end();
    half.abandon();
  }

  /** Ends both halves, which have said all: with fin, or one of them with a reset. */
  end(): void {
    this.#end(undefined, undefined, resetEnd(this) ?? finishedEnd);
  }

  /** Ends both halves, each with its error, or well if there is none. Frames that are in the relay still arrive. */
  #end(clientError: StreamError | undefined, listenerError: StreamError | undefined, end: StreamEnd): void {
    if (this.#state.kind === "ended") return;
    if (this.#state.kind === "offered") this.#state.place.settle(this, "relay");
    this.#set({ kind: "ended", place: this.place, wasResumable: this.#canResume(this.client) });
    this.releaseGrants();
    this.#init.tell({ kind: "stream ended", stream: this, end });
    this.client.end(accounted(clientError, this.client));
    this.listener.end(accounted(listenerError, this.listener));
    this.#onHalfOver();
  }

  /** The listener that took offers at a place is gone for good. Its endpoint is not waited for if it has no leg. */
  loseListener(place: OfferPlace): void {
    if (this.#state.kind === "spliced" && this.#state.place === place) this.listener.giveUp(listenerReplacedError());
  }

  /**
   * Ends both halves, and waits for no endpoint that has no leg. An endpoint whose peer is in this process hears that
   * the peer is gone, so that it does not wait for it at another relay.
   */
  close(error: StreamError): void {
    const errorOf = ({ peer }: Half) => (peer.isLocal ? peerError(error) : error);
    this.#end(errorOf(this.client), errorOf(this.listener), relayedEnd("relay", error));
    for (const half of this.#halves) half.abandon();
  }

  /**
   * Tells the endpoints that the relay goes away at a time, in milliseconds of the clock, if they can take the stream
   * up elsewhere, which needs both. An endpoint whose first leg comes later is told as well.
   */
  drain(untilMs: number): void {
    this.#goesAwayAtMs = untilMs;
    for (const half of this.#halves) this.#announceDraining(half);
  }

  #announceDraining(half: Half): void {
    const hasLocal = this.#halves.some(({ isLocal }) => isLocal);
    if (this.#goesAwayAtMs === undefined || hasLocal || !this.#canResume(half)) return;
    half.announceDraining(Math.max(0, Math.ceil(this.#goesAwayAtMs - this.#init.clock.now())));
  }

  /** The time since the relay first held the stream. */
  get ageMs(): number {
    return this.#init.clock.now() - this.openedAtMs;
  }

  /** The bytes of the frames that wait for a leg, or for room on it. */
  get heldBytes(): number {
    return this.client.heldBytes + this.listener.heldBytes;
  }

  /** Counts the bytes that have come in the directions in which a frame waits. */
  get passedBytes(): number {
    let bytes = 0;
    for (const half of this.#halves) if (half.isHeldBack) bytes += half.bytes;
    return bytes;
  }

  endHeld(error: StreamError): void {
    this.close(error);
  }

  /** Whether the stream was accepted, and waits for an endpoint whose leg was lost. */
  get isSuspended(): boolean {
    const isLive = this.#state.kind === "spliced" || this.#state.kind === "lingering";
    return isLive && this.#halves.some(({ kind }) => kind === "detached");
  }

  #roleOf(half: Half): Role {
    return half === this.client ? "client" : "listener";
  }

  get #halves(): readonly [Half, Half] {
    return [this.client, this.listener];
  }

  #takeOffer(): OfferPlace {
    if (this.#state.kind !== "offered") throw offerGoneError();
    const { place } = this.#state;
    place.settle(this, "listener");
    return place;
  }

  /** A listener that resumes may be the first to say that it has accepted the stream. */
  #hearListener(capabilities: Capabilities | undefined): void {
    if (this.#state.kind === "offered" && isResumable(capabilities)) this.accept(capabilities);
    else if (this.#state.kind === "spliced") this.#set({ ...this.#state, listener: capabilities });
  }

  /** Whether the stream waits for an endpoint whose leg is lost. A listener that has not accepted has none to lose. */
  #canResume(half: Half): boolean {
    switch (this.#state.kind) {
      case "unoffered":
      case "offered":
        return half === this.client && isResumable(this.facts.capabilities);
      case "spliced":
        return this.#state.isResumable;
      case "lingering":
        return this.#state.spliced.isResumable;
      default:
        return false;
    }
  }

  #onHalf(half: Half, change: HalfChange): void {
    const other = half.peer;
    if (change === "over") return this.#onHalfOver();
    if (this.#state.kind === "ended") return;
    if (typeof change === "object") return this.#onLegEnd(half, change);
    if (change === "attached") return this.#onAttached(half);
    if (change === "reset taken") return this.end();
    if (half.requestEnded && other.requestEnded) return this.end();
    if (half.said === "reset" && (this.#state.kind === "offered" || other.kind === "detached")) return this.end();
    this.#lingerIfFinished();
  }

  /**
   * Tells an endpoint that attached again, and its peer, where they stand. Before the listener accepts, nobody is told.
   */
  #onAttached(half: Half): void {
    const [other, isBack] = [half.peer, half.resumption !== undefined];
    if (isBack) this.#init.tell({ kind: "stream resumed", stream: this, role: this.#roleOf(half) });
    if (this.#state.kind === "offered") return;
    if (half === this.client && half.resumption?.knowsAccepted === false) half.announceAccepted(this.#listener);
    if (isBack || other.kind === "detached") half.tellOfPeer();
    if (isBack || other.awaitsResumed) other.tellOfPeer();
    this.#announceDraining(half);
    this.#lingerIfFinished();
  }

  get #listener(): Capabilities | undefined {
    if (this.#state.kind === "lingering") return this.#state.spliced.listener;
    return this.#state.kind === "spliced" ? this.#state.listener : undefined;
  }

  #onLegEnd(half: Half, { kind, error }: LegEnd): void {
    const other = half.peer;
    if (kind === "failed" || half.kind !== "attached" || half.said === "reset" || !this.#canResume(half)) {
      return this.#fail(half, error);
    }
    // An endpoint ends its request when it has heard all of its peer, and its peer all of it. It needs no other leg.
    if (half.requestEnded && this.#isFinished) half.leave();
    else {
      half.detach();
      if (this.#state.kind === "lingering") this.#set(this.#state.spliced);
      if (other.said === "reset") return this.end();
      this.#init.tell({ kind: "stream suspended", stream: this, role: this.#roleOf(half) });
      if (this.#state.kind === "spliced") other.tellOfPeer();
    }
    this.#init.onLegLost();
  }

  #fail(half: Half, error: StreamError): void {
    const end = relayedEnd(this.#roleOf(half), error);
    if (half === this.client) this.#end(error, peerError(error), end);
    else this.#end(peerError(error), error, end);
  }

  #onHalfOver(): void {
    if (this.#state.kind === "ended" && this.#halves.every(({ kind }) => kind === "over")) this.#init.onEnd(this);
  }

  get #isFinished(): boolean {
    return hasLastWord(this.client) && hasLastWord(this.listener);
  }

  /** Every frame starts the wait anew: the last acks may be slow, but they come. */
  #lingerIfFinished(): void {
    const state = this.#state;
    if (!this.#isFinished || (state.kind !== "spliced" && state.kind !== "lingering")) return;
    // The endpoint that is away has its grace period to come back.
    if (this.#halves.some(({ kind }) => kind === "detached")) return;
    const cancelDeadline = this.#init.clock.after(this.#init.lingerTimeoutMs, () => this.end());
    this.#set({ kind: "lingering", spliced: state.kind === "lingering" ? state.spliced : state, cancelDeadline });
  }

  #set(state: SpliceState): void {
    if (this.#state.kind === "offered" || this.#state.kind === "lingering") this.#state.cancelDeadline();
    this.#state = state;
  }
}

/** Whether an endpoint keeps its frames and attaches again. It needs credit and acks for that. */
export function isResumable(capabilities: Capabilities | undefined): boolean {
  const needed = [Feature.RESUME, Feature.CREDIT, Feature.ACK];
  return needed.every((feature) => capabilities?.features.includes(feature));
}

function hasLastWord({ said }: Half): boolean {
  return said === "fin" || said === "reset";
}
