import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import {
  Feature,
  type ListenRequestSchema,
  type Offer,
  type Registered,
  RelayService,
} from "../../gen/streamserver/v1/relay_pb.js";
import { afterAwake } from "../../link/link-watch.js";
import { isOfRelay } from "../../stream/error/failure-detail.js";
import { isOwnCancel, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { TransportKind } from "../../stream/stream-life.js";
import { callUnary } from "../link/rpc-call.js";
import { pageLeftError } from "../page/page-life.js";
import { EarlyBreaks } from "../transport/early-breaks.js";
import { transportError } from "../transport/transport-facts.js";
import { attemptTimeoutMs, maxAttemptTimeoutMs, wayBackOf } from "../transport/way-back.js";
import { type AccessToken, askForToken, TokenRenewal } from "./access-token.js";
import { graceMsOf, graceOverError } from "./grace-period.js";
import { ListenCall } from "./listen-call.js";

export interface LeaseInit {
  name: string;
  listed: boolean;
  ownerKey: string;
  token?: AccessToken | undefined;
  transport: () => Promise<Transport>;
  clock: Clock;
  /** Whether the lease is taken up again after its call broke, where the relay can do it too. */
  resumes: boolean;
}

/** The server that a {@link Lease} belongs to. */
export interface LeaseHandlers {
  /** The name is claimed, or taken up again over another call: only the offers of `waitingStreamIds` still wait. */
  onRegistered(registered: Registered, kind: TransportKind | undefined): void;
  /** The call broke. For `graceMs` the lease is tried to be taken up again. */
  onSuspended(graceMs: number): void;
  /** A client waits. `graceMs` is the relay's grace period for streams, 0 if it resumes none. */
  onOffer(offer: Offer, transport: Transport, graceMs: number): void;
  onWithdrawn(streamId: string): void;
  /** The lease is over. Called once, as the last; without an error after `release`. */
  onEnd(error: StreamError | undefined): void;
}

/** The relay has this long to answer `Reject` and `Unlisten`. */
export const answerTimeoutMs = 5_000;

/** Failures that no other attempt of the grace period can undo: the name is not this listener's any more. */
const finalFailures: ReadonlySet<Failure> = new Set([
  Failure.FENCED,
  Failure.NAME_TAKEN,
  Failure.NAME_INVALID,
  Failure.NOT_PERMITTED,
]);

/**
 * Failures of a relay that holds no such lease: its grace period was over, or the relay was started anew without a key.
 */
const forgottenFailures: ReadonlySet<Failure> = new Set([
  Failure.LEASE_GONE,
  Failure.TOKEN_INVALID,
  Failure.FEATURE_UNSUPPORTED,
]);

type LeaseState =
  | { kind: "claiming" }
  | { kind: "held"; call: ListenCall; registered: Registered }
  | { kind: "suspended"; stopGrace: () => void }
  /** The name is given back: when the relay has said so, or when time is over. */
  | { kind: "releasing"; calls: ListenCall[]; stopDeadline: () => void }
  | { kind: "over" };

/** The attempt at the next call, made while there is no call, or beside one that is draining. */
type Attempt =
  | { kind: "none" }
  | { kind: "waiting"; stop: () => void }
  | { kind: "trying"; call: ListenCall; failedAttempts: number };

/**
 * A listener's hold on a name, over as many calls of `Listen` as it takes.
 *
 * - A call that breaks suspends the lease, which is tried to be taken up again until the relay's grace period is over.
 * - A relay that is draining is left for a new connection; the old call goes on until the new one has the lease.
 * - A relay that does not know the lease any more is asked for the name anew.
 */
export class Lease {
  readonly #init: LeaseInit;
  readonly #handlers: LeaseHandlers;
  #transport: Transport | undefined;
  /** The lease as the relay told it last; undefined while no relay is known to hold it. */
  #known: Registered | undefined;
  #generation = 0;
  /** The newest access token that the application gave. */
  #accessToken = "";
  readonly #renewal: TokenRenewal;
  readonly #earlyBreaks: EarlyBreaks;
  #attempt: Attempt = { kind: "none" };
  #state: LeaseState = { kind: "claiming" };

  /** Claims the name at once. */
  constructor(init: LeaseInit, handlers: LeaseHandlers) {
    this.#init = init;
    if (typeof init.token === "string") this.#accessToken = init.token;
    this.#renewal = new TokenRenewal(init.token, init.clock, () => {
      const known = this.#known as Registered;
      const { leaseId, leaseToken } = known;
      const onToken = (newer: string) => {
        known.leaseToken = newer;
      };
      return { transport: this.#transport as Transport, proof: { leaseId, leaseToken }, onToken };
    });
    this.#earlyBreaks = new EarlyBreaks(init.clock);
    this.#handlers = handlers;
    void this.#claim();
  }

  /**
   * Gives the name back with `Unlisten` as soon as `isReady` resolves, for which the relay has 5 s; `onEnd` follows. A
   * call that merely ends frees no name at a relay that keeps it for the grace period.
   */
  async release(isReady: Promise<void>): Promise<void> {
    const state = this.#state;
    if (state.kind === "releasing" || state.kind === "over") return;
    const isClaimUnderWay = this.#known === undefined && this.#attempt.kind === "trying";
    if (this.#known === undefined && !(isClaimUnderWay && this.#init.resumes)) return this.#end(undefined);
    const calls = state.kind === "held" ? [state.call] : [];
    // A claim is answered first: without the answer there is no token to give the name back with.
    if (!isClaimUnderWay) this.#stopAttempt();
    this.#set({ kind: "releasing", calls, stopDeadline() {} });
    await isReady;
    if (this.#state.kind !== "releasing") return;
    const stopDeadline = this.#init.clock.after(answerTimeoutMs, () => this.#end(undefined));
    this.#set({ kind: "releasing", calls, stopDeadline });
    if (!isClaimUnderWay) await this.#unlisten(this.#known as Registered, 0);
  }

  async #claim(): Promise<void> {
    try {
      this.#transport = await this.#init.transport();
    } catch (reason) {
      return this.#end(transportError(reason, undefined, false));
    }
    if (this.#state.kind === "claiming") this.#try(0);
  }

  #try(failedAttempts: number): void {
    const { token } = this.#init;
    if (typeof token === "function") void this.#askAndCall(token, failedAttempts);
    else this.#call(failedAttempts);
  }

  /** A lease that the relay knows is taken up without an access token as well. */
  async #askAndCall(token: () => string | Promise<string>, failedAttempts: number): Promise<void> {
    const attempt: Attempt = { kind: "waiting", stop() {} };
    this.#attempt = attempt;
    try {
      this.#accessToken = await askForToken(token, this.#init.clock);
    } catch (reason) {
      if (this.#state.kind === "claiming") return this.#end(StreamError.from(reason));
    }
    if (this.#attempt === attempt) this.#call(failedAttempts);
  }

  #call(failedAttempts: number): void {
    const transport = this.#transport as Transport;
    const timeoutMs = this.#state.kind === "claiming" ? maxAttemptTimeoutMs : attemptTimeoutMs(failedAttempts);
    const call: ListenCall = new ListenCall(transport, this.#request(), timeoutMs, this.#init.clock, {
      onRegistered: (registered, kind) => this.#onRegistered(call, registered, kind),
      onOffer: (offer) => this.#handlers.onOffer(offer, transport, graceMsOf(this.#known?.limits)),
      onWithdrawn: (streamId) => this.#handlers.onWithdrawn(streamId),
      onDraining: () => this.#onDraining(),
      onEnd: (error) => this.#onCallEnd(call, error),
    });
    this.#attempt = { kind: "trying", call, failedAttempts };
  }

  #request(): MessageInitShape<typeof ListenRequestSchema> {
    const { name, listed, ownerKey, resumes } = this.#init;
    const features = resumes ? [Feature.CREDIT, Feature.ACK, Feature.RESUME] : [];
    const claim = { name, listed, ownerKey, capabilities: { features }, accessToken: this.#accessToken };
    if (this.#known === undefined) return claim;
    const { leaseId, leaseToken } = this.#known;
    this.#generation += 1;
    return { ...claim, leaseId, leaseToken, generation: this.#generation };
  }

  #onRegistered(call: ListenCall, registered: Registered, kind: TransportKind | undefined): void {
    const state = this.#state;
    this.#attempt = { kind: "none" };
    this.#known = registered;
    if (state.kind === "releasing") {
      state.calls.push(call);
      return void this.#unlisten(registered, 0);
    }
    // The relay has ended this call already, or is about to: the new one has the lease.
    if (state.kind === "held") state.call.hangUp();
    if (state.kind === "suspended") this.#earlyBreaks.opened();
    this.#renewal.expect(registered.accessExpiresInMs);
    this.#set({ kind: "held", call, registered });
    this.#handlers.onRegistered(registered, kind);
  }

  #onDraining(): void {
    const state = this.#state;
    if (state.kind !== "held" || this.#attempt.kind !== "none" || !this.#canResume(state.registered)) return;
    state.call.moveOn();
    this.#try(0);
  }

  /** Calls that hung up are not heard of: this is the call that has the lease, or the attempt at the next one. */
  #onCallEnd(call: ListenCall, error: StreamError): void {
    const attempt = this.#attempt;
    if (attempt.kind === "trying" && attempt.call === call) return this.#onAttemptFailed(attempt, error);
    if (this.#state.kind === "held") this.#onBreak(this.#state.registered, error);
  }

  #onBreak(registered: Registered, error: StreamError): void {
    // An attempt of this listener's own may have fenced the call: the next answer tells.
    const isOwnFence = error.failure === Failure.FENCED && this.#attempt.kind !== "none";
    if (!this.#canResume(registered) || (isFinal(error) && !isOwnFence)) return this.#end(error);
    const graceMs = graceMsOf(registered.limits);
    // A machine that slept through the end of the grace period has the time for one more attempt.
    const stopGrace = afterAwake(this.#init.clock, graceMs, () =>
      this.#end(graceOverError(this.#transport, graceMs, error)),
    );
    this.#set({ kind: "suspended", stopGrace });
    this.#earlyBreaks.broke();
    if (this.#attempt.kind === "none") this.#wait(0);
    this.#handlers.onSuspended(graceMs);
  }

  #onAttemptFailed({ call, failedAttempts }: Extract<Attempt, { kind: "trying" }>, error: StreamError): void {
    const { kind } = this.#state;
    this.#attempt = { kind: "none" };
    if (kind === "releasing") return this.#end(undefined);
    if (kind === "claiming" || isFinal(error)) return this.#end(error);
    if (this.#known !== undefined && forgottenFailures.has(error.failure)) {
      this.#known = undefined;
      return this.#try(failedAttempts);
    }
    if (error.failure === Failure.DRAINING) call.moveOn();
    this.#wait(failedAttempts + 1);
  }

  #wait(failedAttempts: number): void {
    const wayBack = wayBackOf(this.#transport as Transport, this.#init.clock);
    // Over as for a page whose connection was there when it was left.
    const onLeave = () => this.#end(pageLeftError());
    const options = { onLeave, earlyBreaks: this.#earlyBreaks.count };
    const stop = wayBack.wait(failedAttempts, () => this.#try(failedAttempts), options);
    this.#attempt = { kind: "waiting", stop };
  }

  /** Tries until the relay has answered, or until the deadline of the release. */
  async #unlisten(registered: Registered, failedAttempts: number): Promise<void> {
    const transport = this.#transport as Transport;
    const { leaseId, leaseToken } = registered;
    this.#attempt = { kind: "none" };
    try {
      const lease = { leaseId, leaseToken };
      await callUnary(transport, RelayService.method.unlisten, lease, { timeoutMs: answerTimeoutMs });
      this.#end(undefined);
    } catch (reason) {
      if (this.#state.kind !== "releasing") return;
      const { failure } = transportError(reason, transport, false);
      if ((isOfRelay(failure) && failure !== Failure.DRAINING) || !this.#canResume(registered))
        return this.#end(undefined);
      const wayBack = wayBackOf(transport, this.#init.clock);
      const again = () => void this.#unlisten(registered, failedAttempts + 1);
      this.#attempt = { kind: "waiting", stop: wayBack.wait(failedAttempts, again) };
    }
  }

  /** Whether the relay keeps the name when the call breaks. */
  #canResume(registered: Registered): boolean {
    return this.#init.resumes && graceMsOf(registered.limits) > 0;
  }

  #stopAttempt(): void {
    if (this.#attempt.kind === "waiting") this.#attempt.stop();
    else if (this.#attempt.kind === "trying") this.#attempt.call.hangUp();
    this.#attempt = { kind: "none" };
  }

  #end(error: StreamError | undefined): void {
    const state = this.#state;
    if (state.kind === "over") return;
    this.#stopAttempt();
    this.#renewal.stop();
    if (state.kind === "held") state.call.hangUp();
    if (state.kind === "releasing") for (const call of state.calls) call.hangUp();
    this.#set({ kind: "over" });
    this.#handlers.onEnd(error);
  }

  #set(state: LeaseState): void {
    const left = this.#state;
    if (left.kind === "suspended") left.stopGrace();
    if (left.kind === "releasing") left.stopDeadline();
    this.#state = state;
  }
}

/** Returns whether the lease is lost for good: see {@link finalFailures}; or the page was left. */
function isFinal(error: StreamError): boolean {
  return finalFailures.has(error.failure) || isOwnCancel(error);
}
