import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Clock } from "../../../stream/platform/clock.js";
import type { Admission, Hold } from "../../admission/admission.js";
import type { Caller } from "../../admission/caller.js";
import type { GrantEnd } from "../../admission/policy/grants.js";
import { ListenCall } from "./listen-call.js";
import type { Offer, OfferPlace } from "./offer.js";
import type { OwnerKey } from "./owner-key.js";

/**
 * The cause of a lease's end.
 *
 * - `unlisten`: the listener gave the name back with `Unlisten`.
 * - `canceled`: the listener cancelled its `Listen`, or its page was left.
 * - `lost`: the `Listen` broke, and was not taken up again within the grace period if the listener can resume.
 * - `reclaimed`: the owner of the name claimed it again with the same key, as a page does that was loaded again.
 * - `moved`: the relay leaves, and the listener has gone where the relay's address leads now.
 * - `expired`, `revoked`: the access token with which the name was claimed is good no longer.
 * - `removed`: an operator of the relay took the name back.
 * - `relay closed`: the relay ended.
 */
export type LeaseEnd = "unlisten" | "canceled" | "lost" | "reclaimed" | "moved" | GrantEnd | "removed" | "relay closed";

export type LeaseChange =
  | { kind: "suspended" }
  | { kind: "resumed" }
  /** The offers that wait at the lease have to wait elsewhere now, or to be declined. */
  | { kind: "ended"; end: LeaseEnd; error: StreamError | undefined; wasSuspended: boolean };

export interface LeaseInit {
  id: string;
  name: string;
  listed: boolean;
  call: ListenCall;
  /** The number of the call. Default 0, as for a name that is claimed. */
  generation?: number;
  ownerKey?: OwnerKey | undefined;
  /** The caller that claimed the name, or took the lease up in this process. */
  caller: Caller;
  /** The lease's place among the names. It is released when the lease ends. */
  hold: Hold;
  acceptTimeoutMs: number;
  graceMs: number;
  clock: Clock;
  admission: Admission;
  onChange: (lease: Lease, change: LeaseChange) => void;
}

type LeaseState =
  | { kind: "attached"; call: ListenCall }
  /** The call broke; the lease ends by itself at a deadline. */
  | { kind: "suspended"; cancelDeadline: () => void }
  | { kind: "ended" };

/** One listener's hold on one name, and the offers that wait at it. It may outlive its `Listen` call. */
export class Lease implements OfferPlace {
  readonly id: string;
  readonly name: string;
  readonly listed: boolean;
  readonly caller: Caller;
  readonly hold: Hold;
  readonly #createdAtMs: number;
  readonly #init: LeaseInit;
  /** The offers that wait, and their places among those that may. */
  readonly #offers = new Map<Offer, Hold>();
  /** The number of the newest `Listen` call. */
  #generation: number;
  #state: LeaseState;

  constructor(init: LeaseInit) {
    this.id = init.id;
    this.name = init.name;
    this.listed = init.listed;
    this.caller = init.caller;
    this.hold = init.hold;
    this.#createdAtMs = init.clock.now();
    this.#init = init;
    this.#generation = init.generation ?? 0;
    this.#state = { kind: "attached", call: init.call };
  }

  /** The time since the lease was made in this process. */
  get ageMs(): number {
    return this.#init.clock.now() - this.#createdAtMs;
  }

  get kind(): LeaseState["kind"] {
    return this.#state.kind;
  }

  /** The call that the listener hears of offers on; undefined while it has none. */
  get call(): ListenCall | undefined {
    return this.#state.kind === "attached" ? this.#state.call : undefined;
  }

  /** The offers that wait. One that is placed elsewhere, or declined, is no longer among them. */
  get waiting(): Iterable<Offer> {
    return this.#offers.keys();
  }

  /** The number of offers that wait. */
  get offers(): number {
    return this.#offers.size;
  }

  /** Whether the name was claimed with this key. */
  isOwnedBy(key: OwnerKey | undefined): boolean {
    return key !== undefined && this.#init.ownerKey?.equals(key) === true;
  }

  /** Announces a client, which waits at this lease from now on. Throws FAILURE_LIMIT_REACHED. */
  offer(offer: Offer): void {
    const resource = { kind: "offer", leaseId: this.id, name: this.name } as const;
    this.#offers.set(offer, this.#init.admission.hold(offer.caller, resource));
    this.#await(offer);
    this.call?.announce(offer);
  }

  settle(offer: Offer, by: "listener" | "relay"): void {
    const hold = this.#offers.get(offer);
    if (hold === undefined) return;
    this.#offers.delete(offer);
    hold.release();
    this.call?.settle(offer, by);
  }

  /**
   * A newer `Listen` call takes the place of the one before, which ends with FAILURE_FENCED. All offers that wait are
   * announced on it. Throws FAILURE_FENCED for a call that is not newer.
   */
  attach(isResumable: boolean, generation: number): ListenCall {
    if (generation <= this.#generation)
      throw fencedError(`a Listen with the generation ${this.#generation} came before`);
    this.#generation = generation;
    const before = this.#state;
    const call = new ListenCall(isResumable);
    this.#set({ kind: "attached", call });
    for (const offer of this.waiting) {
      this.#await(offer);
      call.announce(offer);
    }
    if (before.kind === "attached") before.call.end(fencedError("a newer Listen has taken up the lease"));
    else this.#init.onChange(this, { kind: "resumed" });
    return call;
  }

  /** A call has broken: the name is kept for the grace period. A call of a relay that leaves has moved. */
  suspend(call: ListenCall): void {
    if (this.call !== call) return;
    if (call.isDraining) return this.end("moved");
    const { clock, graceMs } = this.#init;
    this.#set({ kind: "suspended", cancelDeadline: clock.after(graceMs, () => this.end("lost")) });
    for (const offer of this.waiting) this.#await(offer);
    call.end();
    this.#init.onChange(this, { kind: "suspended" });
  }

  /** A call has ended for good: the lease ends, unless a newer call has taken its place. */
  leave(call: ListenCall, end: "canceled" | "lost"): void {
    if (this.call === call) this.end(end);
  }

  /** Ends the lease, and its call with an error if there is one: the name is free. Accepted streams live on. */
  end(end: LeaseEnd, error?: StreamError): void {
    if (this.#state.kind === "ended") return;
    const { call } = this;
    this.#set({ kind: "ended" });
    this.hold.release();
    call?.end(error);
    this.#init.onChange(this, { kind: "ended", end, error, wasSuspended: call === undefined });
  }

  /**
   * Sets how long an offer waits: for the listener to decide, and while there is no call as long as the client waits
   * for a listener.
   */
  #await(offer: Offer): void {
    const { acceptTimeoutMs, clock } = this.#init;
    const leftMs = this.#state.kind === "suspended" ? offer.waitUntilMs - clock.now() : 0;
    const timeoutMs = Math.max(acceptTimeoutMs, leftMs);
    offer.waitAt(this, timeoutMs, () => notAcceptedError(timeoutMs));
  }

  #set(state: LeaseState): void {
    if (this.#state.kind === "suspended") this.#state.cancelDeadline();
    this.#state = state;
  }
}

/** The error of a `Listen` call that is not, or no longer, the newest one of its listener. */
export function fencedError(message: string): StreamError {
  return new StreamError(message, { failure: Failure.FENCED });
}

function notAcceptedError(timeoutMs: number): StreamError {
  return new StreamError(`the listener did not accept within ${timeoutMs} ms`, {
    failure: Failure.NOT_ACCEPTED_IN_TIME,
  });
}
