import type { Transport } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Opened } from "../../gen/streamserver/v1/relay_pb.js";
import type { LegMethod, Open } from "../../leg/leg-call.js";
import { afterAwake } from "../../link/link-watch.js";
import type { Capabilities } from "../../stream/endpoint/capabilities.js";
import type { EndpointEvent } from "../../stream/endpoint/endpoint.js";
import { isOwnCancel, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";
import type { StreamLife, TransportKind } from "../../stream/stream-life.js";
import { pageLeftError } from "../page/page-life.js";
import { EarlyBreaks } from "../transport/early-breaks.js";
import { transportError, transportFactsOf } from "../transport/transport-facts.js";
import { attemptTimeoutMs, maxAttemptTimeoutMs, wayBackOf } from "../transport/way-back.js";
import { type AccessToken, askForToken, TokenRenewal } from "./access-token.js";
import { graceMsOf, graceOverError } from "./grace-period.js";
import { isLoss, Leg, type LegOwner } from "./leg.js";
import { reject } from "./rejection.js";

export interface AttachInit {
  life: StreamLife;
  transport: () => Promise<Transport>;
  method: LegMethod;
  /** The first message of the first leg. */
  open: Extract<Open, { $typeName?: never }>;
  /** For Accept: the client's capabilities, from its offer. On Connect, `Accepted` brings the listener's. */
  peer?: Capabilities;
  /** For Accept: the grace period of the relay that made the offer, 0 if it resumes no streams. */
  graceMs?: number;
  clock: Clock;
  /** The access token of the client, or the one of the listener's name. */
  token?: AccessToken | undefined;
}

/** The relay has this long to end the call after the stream was finished: its own wait for the peer, and 15 s more. */
const finishTimeoutMs = 45_000;
/** The linger timeout of a relay that does not name it, as a relay in this process does not. */
const usualLingerTimeoutMs = 30_000;
/** A reset has this long to get out; then the peer hears of the end without the reason. */
const resetTimeoutMs = 1_000;
/** A reset may wait behind frames that the relay does not read. After this long `Reject` overtakes them. */
export const overtakeTimeoutMs = 250;
/** An ack waits at most this long for a frame that it can travel with. `Frame.ack`. */
export const maxAckDelayMs = 25;

/** The time since the relay was lost: attempts that failed, and the deadline of the grace period. */
interface Outage {
  failedAttempts: number;
  cancelDeadline: () => void;
}

/** A stream, and the proof that the leg of an endpoint is its own. */
interface LegProof {
  streamId: string;
  legToken: string;
}

type AttacherState =
  /** The way to the relay is looked for, or the relay has not answered the leg yet. */
  | { kind: "attaching"; leg: Leg | undefined; outage: Outage | undefined }
  | { kind: "attached"; leg: Leg }
  /** The relay of the leg is draining. The next leg attaches elsewhere meanwhile. */
  | { kind: "moving"; leg: Leg; next: Leg | undefined; failedAttempts: number; stopWaiting: () => void }
  | { kind: "waiting"; stopWaiting: () => void; outage: Outage }
  /** The stream has failed, and the relay could not be told yet. */
  | { kind: "rejecting" }
  | { kind: "over" };

/**
 * Keeps an endpoint attached to its relay, one leg after the other, until the stream is over and the relay knows it.
 * Never rejects: the life of the stream tells how it ended. A stream that is over before the transport is there makes
 * no call.
 */
export function attach(init: AttachInit): Promise<void> {
  return new Attacher(init).over;
}

class Attacher implements LegOwner {
  readonly #init: AttachInit;
  readonly #over = new Deferred<void>();
  #transport: Transport | undefined;
  #state: AttacherState = { kind: "attaching", leg: undefined, outage: undefined };
  /** The number of the next attachment. `Resume.generation`. */
  #generation = 0;
  /** The newest token of the endpoint; undefined before the relay has answered a client. */
  #token: LegProof | undefined;
  /** The access token that goes with each leg. */
  readonly #asked: AccessToken | undefined;
  /** The newest access token that the application gave. */
  #accessToken = "";
  readonly #renewal: TokenRenewal;
  /** The grace period of the relay, 0 if it resumes no streams. */
  #graceMs: number;
  #maxHeldEndMs = usualLingerTimeoutMs / 2;
  readonly #earlyBreaks: EarlyBreaks;
  #ackOwedMs = Number.NEGATIVE_INFINITY;
  #stopAcking: (() => void) | undefined;
  #stopHolding: (() => void) | undefined;
  #stopEnding = () => {};
  #ending: "not yet" | "on its way" = "not yet";
  readonly #onOver = (kind: "closed" | "resetting" | "failed") => this.#endInTime(kind);

  constructor(init: AttachInit) {
    const { life, open, method, graceMs = 0, token } = init;
    this.#init = init;
    // A listener's leg needs none: the token of its offer, or of its leg before, lets it in.
    this.#asked = method === "connect" ? token : undefined;
    if (typeof this.#asked === "string") this.#accessToken = this.#asked;
    this.#renewal = new TokenRenewal(token, init.clock, () => {
      const proof = this.#token as LegProof;
      const onToken = (legToken: string) => {
        // A leg that has attached meanwhile has brought a token of its own.
        if (this.#token === proof) this.#token = { ...proof, legToken };
      };
      return { transport: this.#transport as Transport, proof, onToken };
    });
    this.#earlyBreaks = new EarlyBreaks(init.clock);
    this.#graceMs = graceMs;
    const { streamId = "", legToken = "" } = open;
    if (method === "accept") this.#token = { streamId, legToken };
    life.onLegChange = (event) => this.#onChange(event);
    life.on("over", this.#onOver);
    void this.#attempt(undefined);
  }

  /** Resolves when no leg is open, and none will be. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  onOpened(leg: Leg, opened: Opened, transport: TransportKind | undefined): void {
    const state = this.#state;
    const { life, peer, clock } = this.#init;
    if (state.kind === "moving" && state.next === leg) {
      life.endpoint.detach();
      state.leg.drop();
    } else if (state.kind !== "attaching" || state.leg !== leg) return leg.drop();
    const { streamId, legToken, limits } = opened;
    this.#set({ kind: "attached", leg });
    this.#token = { streamId, legToken };
    this.#graceMs = graceMsOf(limits);
    // The other half is for the ack to arrive, and for the calls to end by themselves.
    this.#maxHeldEndMs = (limits?.lingerTimeoutMs || usualLingerTimeoutMs) / 2;
    this.#renewal.expect(opened.accessExpiresInMs);
    life.attach({ streamId, maxFrameBytes: limits?.maxFrameBytes, transport });
    if (this.#generation > 1) {
      life.endpoint.expectGap();
      this.#earlyBreaks.opened(life.endpoint.progress);
    }
    // A client that still waits for its listener is told of no `resumed` before that has come.
    if (!life.isAccepted) life.resume();
    if (peer !== undefined) this.onAccepted(leg, peer);
    if (this.#transport !== undefined) wayBackOf(this.#transport, clock).gotThrough();
  }

  onAccepted(leg: Leg, peer: Capabilities): void {
    if (this.#init.life.isAccepted) return;
    this.#init.life.accept(peer);
    leg.hold();
  }

  onSuspended(graceMs: number): void {
    const { life } = this.#init;
    life.endpoint.detach();
    life.suspend({ hop: Hop.PEER, graceMs });
  }

  onResumed(receivedSequence: number): void {
    const { life } = this.#init;
    life.endpoint.resume(receivedSequence);
    life.resume();
  }

  onDraining(leg: Leg): void {
    if (this.#state.kind !== "attached" || this.#state.leg !== leg || !this.#comesBack) return;
    leg.moveOn();
    this.#set({ kind: "moving", leg, next: undefined, failedAttempts: 0, stopWaiting: () => {} });
    this.#move();
  }

  onEnd(leg: Leg, reason: StreamError | undefined): void {
    const state = this.#state;
    const { life } = this.#init;
    const error = reason ?? (life.isOver ? undefined : this.#earlyEndError());
    if (state.kind === "moving" && state.next === leg) return this.#onMoveFailed(state, error);
    if (!("leg" in state) || state.leg !== leg) return;
    if (state.kind === "moving" && state.next !== undefined && this.#lives(error, "attached")) {
      return this.#set({ kind: "attaching", leg: state.next, outage: this.#beginOutage() });
    }
    this.#onLost(error, state.kind === "attaching" ? state.outage : undefined);
  }

  /** A stream that ends too early here may be whole at the relay, which says so to a leg that comes back. */
  #earlyEndError(): StreamError {
    const hop = this.#comesBack && this.#init.life.endpoint.state.kind === "open" ? Hop.RELAY : Hop.PEER;
    return new StreamError("the stream ended before it was finished", { failure: Failure.LEG_LOST, hop });
  }

  get #wayBack() {
    return wayBackOf(this.#transport as Transport, this.#init.clock);
  }

  get #isResumable(): boolean {
    const { life } = this.#init;
    return this.#graceMs > 0 && life.endpoint.isResumable;
  }

  /** Whether another leg may take the place of one that has ended. */
  get #comesBack(): boolean {
    return this.#isResumable && this.#transport !== undefined && !transportFactsOf(this.#transport).isLocal;
  }

  async #attempt(outage: Outage | undefined): Promise<void> {
    const state: AttacherState = { kind: "attaching", leg: undefined, outage };
    this.#set(state);
    try {
      this.#transport = await this.#init.transport();
      await this.#renewToken();
      if (this.#state !== state) return;
      if (outage === undefined && this.#init.life.endpoint.state.kind !== "open") this.#finish();
      else this.#set({ ...state, leg: this.#newLeg(this.#transport, outage?.failedAttempts) });
    } catch (reason) {
      if (this.#state === state) this.#onLost(transportError(reason, this.#transport, false), outage);
    }
  }

  /** Attaches to where the relay's address leads now, while the leg that there is goes on. */
  #move(): void {
    const state = this.#state;
    const attach = () => {
      if (this.#state !== state || state.kind !== "moving" || this.#transport === undefined) return;
      this.#set({ ...state, next: this.#newLeg(this.#transport, state.failedAttempts), stopWaiting: () => {} });
    };
    // The leg that there is may end in the same turn, and the next one should be under way by then.
    if (typeof this.#asked === "function") void this.#renewToken().then(attach);
    else attach();
  }

  /** Asks for the access token of the next leg. A stream that the relay knows comes back without one as well. */
  async #renewToken(): Promise<void> {
    if (typeof this.#asked !== "function") return;
    try {
      this.#accessToken = await askForToken(this.#asked, this.#init.clock);
    } catch (reason) {
      if (this.#token === undefined) throw reason;
    }
  }

  #newLeg(transport: Transport, failedAttempts: number | undefined): Leg {
    const { life, method, clock } = this.#init;
    const timeoutMs = failedAttempts === undefined ? maxAttemptTimeoutMs : attemptTimeoutMs(failedAttempts);
    return new Leg({
      endpoint: life.endpoint,
      transport,
      method,
      open: this.#nextOpen(),
      timeoutMs,
      clock,
      owner: this,
    });
  }

  /** A client that was not accepted yet says again what it wants, for a relay that has lost its offer. */
  #nextOpen(): Open {
    const { life } = this.#init;
    const open = { ...this.#init.open, accessToken: this.#accessToken };
    const { capabilities, accessToken } = open;
    const generation = this.#generation;
    this.#generation += 1;
    if (generation === 0) return open;
    const resume = { receivedSequence: BigInt(life.endpoint.receivedSequence), generation };
    return { ...(life.isAccepted ? { capabilities, accessToken } : open), ...this.#token, resume };
  }

  #onMoveFailed(state: Extract<AttacherState, { kind: "moving" }>, error: StreamError | undefined): void {
    if (!this.#lives(error, "attaching")) return this.#set({ kind: "attached", leg: state.leg });
    const failedAttempts = state.failedAttempts + 1;
    const stopWaiting = this.#wayBack.wait(failedAttempts, () => this.#move());
    this.#set({ ...state, next: undefined, failedAttempts, stopWaiting });
  }

  /** Whether the stream goes on although a leg has ended. */
  #lives(error: StreamError | undefined, wasIn: "attaching" | "attached"): error is StreamError {
    if (error === undefined || !this.#comesBack || this.#init.life.endpoint.state.kind === "failed") return false;
    const { failure } = error;
    return (
      isLoss(error) || failure === Failure.DRAINING || (failure === Failure.LIMIT_REACHED && wasIn === "attaching")
    );
  }

  /** There is no leg any more: the stream is suspended, or over. */
  #onLost(error: StreamError | undefined, outage: Outage | undefined): void {
    const { life } = this.#init;
    if (this.#lives(error, outage === undefined ? "attached" : "attaching")) {
      const next =
        outage === undefined ? this.#beginOutage() : { ...outage, failedAttempts: outage.failedAttempts + 1 };
      const keepsAlive = life.endpoint.state.kind === "open";
      // Over as for a page whose connection was there when it was left.
      const onLeave = () => {
        life.fail(pageLeftError());
        this.#finish();
      };
      const options = { onLeave, keepsAlive, earlyBreaks: this.#earlyBreaks.count };
      const stopWaiting = this.#wayBack.wait(next.failedAttempts, () => void this.#attempt(next), options);
      return this.#set({ kind: "waiting", stopWaiting, outage: next });
    }
    if (error !== undefined && this.#isResumable && (life.endpoint.state.kind === "failed" || isOwnFault(error))) {
      life.fail(error);
      return this.#reject();
    }
    if (error !== undefined) life.fail(this.#generation > 1 ? notResumedError(error) : error);
    this.#finish();
  }

  #beginOutage(): Outage {
    const { life, clock } = this.#init;
    const graceMs = this.#graceMs;
    life.endpoint.detach();
    life.suspend({ hop: Hop.RELAY, graceMs });
    const onDeadline = () => {
      life.fail(graceOverError(this.#transport, graceMs));
      this.#finish();
    };
    // A machine that slept through the end of the grace period has the time for one more attempt. The waits and the
    // attempts keep the process alive, as long as the stream is open.
    const cancelDeadline = afterAwake(clock, graceMs, onDeadline);
    this.#earlyBreaks.broke(life.endpoint.progress);
    return { failedAttempts: 0, cancelDeadline };
  }

  #onChange(event: EndpointEvent): void {
    const { life, clock } = this.#init;
    if (event === "ackOwed") this.#acknowledgeInTime();
    if (event === "state" && life.endpoint.holdsEnd) {
      this.#stopHolding ??= clock.after(this.#maxHeldEndMs, () => life.endpoint.acknowledgeEnd());
    }
    if ("leg" in this.#state) this.#state.leg?.onEndpointChange(event);
  }

  /**
   * An ack may wait for a frame that goes the same way, but only where acks have been frequent: timers of a hidden tab
   * are slow.
   */
  #acknowledgeInTime(): void {
    const { life, clock } = this.#init;
    const nowMs = clock.now();
    const wasOwedMs = this.#ackOwedMs;
    this.#ackOwedMs = nowMs;
    if (nowMs - wasOwedMs >= maxAckDelayMs) return life.endpoint.acknowledge();
    this.#stopAcking ??= clock.after(maxAckDelayMs, () => {
      this.#stopAcking = undefined;
      life.endpoint.acknowledge();
    });
  }

  /** Ends the calls of a stream that is over, if the relay does not end them. */
  #endInTime(kind: "closed" | "resetting" | "failed"): void {
    const { life, clock } = this.#init;
    const state = this.#state;
    const finishIn = (delayMs: number, keepsAlive?: boolean) => {
      this.#stopEnding = clock.after(delayMs, () => this.#finish(), keepsAlive);
    };
    if (kind === "closed") return finishIn(finishTimeoutMs, false);
    // A reset that has gone out makes the stream "failed", and has its deadline already.
    if (this.#ending === "on its way") return;
    const isReset = kind === "resetting";
    if (isReset && state.kind === "waiting") return void this.#attempt(state.outage);
    if (isReset && state.kind === "attaching") {
      // The reset goes out when the leg is attached. A relay that was not told takes a call that ends for a broken one.
      if (this.#token !== undefined) return;
      return state.leg === undefined ? this.#finish() : finishIn(resetTimeoutMs);
    }
    this.#ending = "on its way";
    this.#stopEnding();
    if (!isReset || (!this.#isResumable && life.isAccepted)) return finishIn(resetTimeoutMs);
    if (!this.#isResumable) return this.#finish();
    if (!life.isAccepted) return this.#reject();
    this.#stopEnding = clock.after(overtakeTimeoutMs, () => this.#reject());
  }

  #reject(): void {
    const { life, clock } = this.#init;
    const { endpoint } = life;
    const transport = this.#transport;
    this.#stopEnding();
    const { state } = endpoint;
    if ((state.kind !== "failed" && state.kind !== "resetting") || transport === undefined) return this.#finish();
    this.#stopEnding = reject({
      transport,
      clock,
      token: this.#token,
      error: state.error,
      receivedSequence: endpoint.receivedSequence,
      graceMs: this.#graceMs,
      onLost: () => {
        this.#hangUp();
        this.#set({ kind: "rejecting" });
      },
      onTold: () => this.#finish(),
    });
  }

  #hangUp(): void {
    const state = this.#state;
    if ("outage" in state) state.outage?.cancelDeadline();
    if ("leg" in state) state.leg?.drop();
    if ("next" in state) state.next?.drop();
  }

  #finish(): void {
    const state = this.#state;
    if (state.kind === "over") return;
    const { life } = this.#init;
    this.#hangUp();
    this.#renewal.stop();
    this.#set({ kind: "over" });
    life.onLegChange = () => {};
    life.off("over", this.#onOver);
    for (const stop of [this.#stopEnding, this.#stopHolding, this.#stopAcking]) stop?.();
    if (life.endpoint.state.kind === "resetting") life.fail(life.endpoint.state.error);
    this.#over.resolve();
  }

  #set(state: AttacherState): void {
    if ("stopWaiting" in this.#state) this.#state.stopWaiting();
    if (state.kind === "attached" && "outage" in this.#state) this.#state.outage?.cancelDeadline();
    this.#state = state;
  }
}

/**
 * Whether a leg ended for a reason of this side's own, which the relay takes for a broken connection. It knows of a
 * page that was left.
 */
function isOwnFault(error: StreamError): boolean {
  return error.failure === Failure.UNSPECIFIED && !isOwnCancel(error);
}

/** A stream that its relay does not know any more is lost, whichever failure says so. */
function notResumedError(error: StreamError): StreamError {
  const { failure, receivedSequence } = error;
  if (![Failure.STREAM_GONE, Failure.TOKEN_INVALID, Failure.FENCED].includes(failure)) return error;
  const why = failure === Failure.TOKEN_INVALID ? "it was started again with other keys" : error.message;
  const message = `the relay does not resume the stream: ${why}`;
  return new StreamError(message, { failure: Failure.LEG_LOST, hop: Hop.RELAY, cause: error, receivedSequence });
}
