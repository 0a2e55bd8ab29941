import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { Feature, type ListenRequest } from "../../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Clock } from "../../../stream/platform/clock.js";
import type { Admission } from "../../admission/admission.js";
import type { Caller } from "../../admission/caller.js";
import { exceededLimit, type RelayLimits } from "../../admission/limits.js";
import { carriedGrant } from "../../admission/policy/carried-grant.js";
import type { OnGrantEnd } from "../../admission/policy/grants.js";
import { randomId, type TokenSigner } from "../token.js";
import { fencedError, Lease, type LeaseChange, type LeaseEnd, type LeaseInit } from "./lease.js";
import { ListedNames } from "./listed-names.js";
import { ListenCall } from "./listen-call.js";
import type { Offer } from "./offer.js";
import { OwnerKey } from "./owner-key.js";
import { noSuchNameError, WaitingOffers } from "./waiting-offers.js";

export type NameChange =
  | { kind: "created"; lease: Lease }
  | { kind: "suspended"; lease: Lease }
  | { kind: "resumed"; lease: Lease }
  | { kind: "destroyed"; lease: Lease; end: LeaseEnd; wasSuspended: boolean };

export interface RegistryInit {
  limits: RelayLimits;
  clock: Clock;
  signer: TokenSigner;
  admission: Admission;
}

/** A `Listen` call that holds a lease, and the newest token of the lease. */
export interface Held {
  lease: Lease;
  call: ListenCall;
  token: string;
}

/** The fields of a `ListenRequest` that claim a name, and who sends it. */
export type Claim = Pick<ListenRequest, "name" | "listed" | "ownerKey"> & {
  caller: Caller;
  /** Whether the lease outlives its `Listen` call. */
  isResumable: boolean;
};

/** The fields of a `ListenRequest` that take up a lease. */
export type LeaseProof = Pick<ListenRequest, "leaseId" | "leaseToken" | "generation">;

type NewLease = Pick<LeaseInit, "id" | "name" | "listed" | "generation" | "ownerKey" | "caller"> &
  Pick<Claim, "isResumable">;

/** The names with a listener, each held by one lease, and the observers of their changes. */
export class Registry {
  readonly #init: RegistryInit;
  readonly #leasesByName = new Map<string, Lease>();
  readonly #leasesById = new Map<string, Lease>();
  readonly #listed = new ListedNames();
  /** The ids of leases of other processes that were made anew here, so that they are not once they have ended. */
  readonly #madeAnew = new Set<string>();
  readonly #waiting: WaitingOffers;
  readonly #observers = new Set<(change: NameChange) => void>();

  constructor(init: RegistryInit) {
    this.#init = init;
    this.#waiting = new WaitingOffers(init.admission);
  }

  /** The number of leases, suspended ones included. */
  get size(): number {
    return this.#leasesByName.size;
  }

  /** The number of leases that wait for their listeners to come back. */
  get suspended(): number {
    let suspended = 0;
    for (const { kind } of this.#leasesByName.values()) if (kind === "suspended") suspended += 1;
    return suspended;
  }

  /** Throws FAILURE_NAME_INVALID. */
  checkName(name: string): void {
    const { maxNameBytes } = this.#init.limits;
    const nameBytes = Buffer.byteLength(name);
    if (nameBytes >= 1 && nameBytes <= maxNameBytes) return;
    throw new StreamError(`a name has 1 to ${maxNameBytes} bytes of UTF-8, not ${nameBytes}`, {
      failure: Failure.NAME_INVALID,
      limit: nameBytes === 0 ? undefined : exceededLimit("maxNameBytes", maxNameBytes),
    });
  }

  /**
   * Claims a name. A lease that was claimed with the same owner key ends at once, and its offers move to the new one.
   * Throws FAILURE_NAME_INVALID, FAILURE_NAME_TAKEN, FAILURE_LIMIT_REACHED, or FAILURE_FRAME_TOO_LARGE for a key that
   * is too long.
   */
  claim(claim: Claim): Held {
    this.checkName(claim.name);
    const ownerKey = OwnerKey.from(claim.ownerKey);
    const holder = this.#leasesByName.get(claim.name);
    if (holder !== undefined && !holder.isOwnedBy(ownerKey)) throw this.#nameTakenError(holder);
    return this.#create({ ...claim, ownerKey, id: randomId() }, holder);
  }

  /**
   * Whether nobody has to be asked before a lease is taken up: it is held here, or has ended here, or its token carries
   * a grant that still holds. Throws FAILURE_NAME_INVALID and FAILURE_TOKEN_INVALID.
   */
  mayTakeUp(name: string, { leaseId, leaseToken }: LeaseProof): boolean {
    const { signer, admission } = this.#init;
    this.checkName(name);
    const issuer = signer.verify("lease", leaseId, leaseToken, name);
    if (issuer === "this process" || this.#leasesById.has(leaseId) || this.#madeAnew.has(leaseId)) return true;
    const carried = carriedGrant(signer.carriedBy(leaseToken));
    return carried !== undefined && admission.grants.holds(carried.claims);
  }

  /**
   * Takes up a lease with a newer call. A lease of another process that signs with the same keys, as of one before a
   * restart, is made anew under its id if its name is free.
   *
   * Throws FAILURE_TOKEN_INVALID; FAILURE_FENCED for a call that is not newer, or if the owner of the name has claimed
   * it again; FAILURE_LEASE_GONE for a lease that has ended and left its name free; FAILURE_LIMIT_REACHED for a caller
   * that comes back too often; and what `claim` throws.
   */
  takeUp(claim: Claim, { leaseId, leaseToken, generation }: LeaseProof): Held {
    this.checkName(claim.name);
    const issuer = this.#init.signer.verify("lease", leaseId, leaseToken, claim.name);
    const { signer, admission } = this.#init;
    const lease = this.#leasesById.get(leaseId);
    const carried = lease === undefined ? admission.grants.adopt("listen", signer.carriedBy(leaseToken)) : undefined;
    // The caller has claims of its own if it was asked for them again.
    const claims = claim.caller.claims ?? lease?.caller.claims ?? carried?.claims;
    admission.countReturn(claim.caller, claims);
    if (lease !== undefined) return this.#held(lease, lease.attach(claim.isResumable, generation));
    const ownerKey = OwnerKey.from(claim.ownerKey);
    const holder = this.#leasesByName.get(claim.name);
    // A listener whose lease has ended claims its name anew, and must not take it back from the newer one of its owner.
    if (holder?.isOwnedBy(ownerKey)) throw reclaimedError();
    if (holder !== undefined) throw this.#nameTakenError(holder);
    if (issuer === "this process" || this.#madeAnew.has(leaseId)) throw leaseGoneError();
    const held = this.#create({ ...claim, ownerKey, id: leaseId, generation, caller: { ...claim.caller, claims } });
    this.#madeAnew.add(leaseId);
    const [oldest] = this.#madeAnew;
    // Listeners come back within a grace period of a restart, and the relay before it had at most `maxNames` of them.
    if (this.#madeAnew.size > this.#init.limits.maxNames && oldest !== undefined) this.#madeAnew.delete(oldest);
    return held;
  }

  /**
   * Ends a lease, suspended or not, by its token. Throws FAILURE_LEASE_GONE for one that has ended or never was, and
   * FAILURE_TOKEN_INVALID.
   */
  unlisten(leaseId: string, token: string): void {
    this.proven(leaseId, token).end("unlisten");
  }

  /**
   * Returns a lease by its token. Throws FAILURE_LEASE_GONE for one that has ended or never was, and
   * FAILURE_TOKEN_INVALID.
   */
  proven(leaseId: string, token: string): Lease {
    const lease = this.#leasesById.get(leaseId);
    if (lease === undefined) throw leaseGoneError();
    this.#init.signer.verify("lease", leaseId, token, lease.name);
    return lease;
  }

  /**
   * Offers a client to the listener of a name, or lets it wait for one. Throws FAILURE_NO_SUCH_NAME or
   * FAILURE_LIMIT_REACHED.
   */
  offer(name: string, offer: Offer): void {
    const lease = this.#leasesByName.get(name);
    if (lease !== undefined) return lease.offer(offer);
    const leftMs = offer.waitUntilMs - this.#init.clock.now();
    if (leftMs <= 0) throw noSuchNameError(name);
    this.#waiting.add(name, offer, leftMs);
  }

  /** All leases, suspended ones included. */
  get leases(): Iterable<Lease> {
    return this.#leasesByName.values();
  }

  /** The lease that holds a name. */
  find(name: string): Lease | undefined {
    return this.#leasesByName.get(name);
  }

  /** Ends a lease, suspended or not, with an error for its listener. Throws FAILURE_LEASE_GONE. */
  remove(leaseId: string, error: StreamError): void {
    const lease = this.#leasesById.get(leaseId);
    if (lease === undefined) throw leaseGoneError();
    lease.end("removed", error);
  }

  /** Throws FAILURE_NO_SUCH_NAME. */
  byName(name: string): Lease {
    const lease = this.#leasesByName.get(name);
    if (lease !== undefined) return lease;
    throw noSuchNameError(name);
  }

  byId(id: string): Lease | undefined {
    return this.#leasesById.get(id);
  }

  /** Whether a lease of another process was made anew here, so that it is here, or has ended here. */
  wasMadeAnew(id: string): boolean {
    return this.#madeAnew.has(id);
  }

  /**
   * Yields the listed names that begin with `prefix` and come after `after`, in the order of their UTF-8 bytes. No name
   * may come or go meanwhile.
   */
  listed(prefix: string, after?: string): Iterable<string> {
    return this.#listed.after(prefix, after);
  }

  /** Calls `observer` after each change until the returned function is called. */
  observe(observer: (change: NameChange) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  /**
   * The relay leaves, and goes on for at most `graceMs`. Listeners that can resume are told to take their leases up
   * elsewhere, and leases that are suspended can only be taken up there.
   */
  drain(graceMs: number): void {
    for (const lease of [...this.#leasesByName.values()]) {
      if (lease.kind === "suspended") lease.end("moved");
      else if (lease.call?.isResumable) lease.call.drain(graceMs);
    }
  }

  /** Ends all leases, and declines all offers, with an error. */
  close(error: StreamError): void {
    for (const lease of [...this.#leasesByName.values()]) lease.end("relay closed", error);
  }

  /** Makes a lease that holds its name at once, in the place of the one that holds it now, if any does. */
  #create(init: NewLease, before?: Lease): Held {
    const { limits, clock, admission } = this.#init;
    const onGrantEnd: OnGrantEnd = (error, why) => lease.end(why, error);
    const resource = { kind: "name", isTakenUp: init.generation !== undefined } as const;
    const hold = admission.hold(init.caller, resource, before?.hold, onGrantEnd);
    const { acceptTimeoutMs, graceMs } = limits;
    const onChange = (changed: Lease, change: LeaseChange) => this.#onChange(changed, change);
    const call = new ListenCall(init.isResumable);
    const lease: Lease = new Lease({ ...init, hold, call, acceptTimeoutMs, graceMs, clock, admission, onChange });
    this.#leasesByName.set(lease.name, lease);
    this.#leasesById.set(lease.id, lease);
    if (lease.listed) this.#listed.add(lease.name);
    else this.#listed.delete(lease.name);
    for (const offer of before?.waiting ?? this.#waiting.of(lease.name)) lease.offer(offer);
    before?.end("reclaimed", reclaimedError());
    this.#tell({ kind: "created", lease });
    return this.#held(lease, call);
  }

  /** The newest token of a lease, with the grant that it lives by. */
  tokenOf({ id, name, caller }: Lease): string {
    const { signer, admission } = this.#init;
    const carried = caller.claims && admission.grants.textOf({ claims: caller.claims, name });
    return signer.sign("lease", id, name, carried);
  }

  #held(lease: Lease, call: ListenCall): Held {
    return { lease, call, token: this.tokenOf(lease) };
  }

  #onChange(lease: Lease, change: LeaseChange): void {
    if (change.kind !== "ended") return this.#tell({ kind: change.kind, lease });
    if (this.#leasesByName.get(lease.name) === lease) {
      this.#leasesByName.delete(lease.name);
      this.#listed.delete(lease.name);
    }
    this.#leasesById.delete(lease.id);
    for (const offer of lease.waiting) this.#keep(lease.name, offer, change);
    this.#tell({ kind: "destroyed", lease, end: change.end, wasSuspended: change.wasSuspended });
  }

  /**
   * Lets an offer of a lease that has ended wait for the next listener, if its client does. A client that can resume
   * leaves a relay that drains by itself, and makes its offer again where it goes.
   */
  #keep(name: string, offer: Offer, { end, error }: Extract<LeaseChange, { kind: "ended" }>): void {
    const { clock, limits } = this.#init;
    const leavesByItself = end === "moved" && offer.facts.capabilities?.features.includes(Feature.RESUME);
    const leftMs = leavesByItself ? limits.graceMs : offer.waitUntilMs - clock.now();
    // Other errors are for the listener alone.
    if (end === "relay closed" && error !== undefined) return offer.decline(error);
    if (leftMs <= 0) return offer.decline(listenerGoneError());
    try {
      this.#waiting.add(name, offer, leftMs);
    } catch (reason) {
      offer.decline(StreamError.from(reason));
    }
  }

  #nameTakenError({ name, kind }: Lease): StreamError {
    const { graceMs } = this.#init.limits;
    const message =
      kind === "suspended"
        ? `the listener of ${JSON.stringify(name)} has lost its connection, and its name is kept for up to ${graceMs} ms`
        : `somebody listens on ${JSON.stringify(name)} already`;
    return new StreamError(message, { failure: Failure.NAME_TAKEN });
  }

  #tell(change: NameChange): void {
    for (const observer of [...this.#observers]) observer(change);
  }
}

function reclaimedError(): StreamError {
  return fencedError("the owner of the name has claimed it again");
}

function leaseGoneError(): StreamError {
  return new StreamError("the lease has ended", { failure: Failure.LEASE_GONE });
}

function listenerGoneError(): StreamError {
  return new StreamError("the listener has gone", { failure: Failure.LISTENER_GONE });
}
