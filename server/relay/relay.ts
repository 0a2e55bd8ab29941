import { Code } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import type { Capabilities, RejectRequest, RenewRequest } from "../../gen/streamserver/v1/relay_pb.js";
import { cutReason, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { Admission } from "../admission/admission.js";
import { type Caller, type Claims, localCaller } from "../admission/caller.js";
import { exceededLimit, type RelayLimits } from "../admission/limits.js";
import type { Admitted, AuthorizeRequest } from "../admission/policy/authorize.js";
import type { Warnings } from "../admission/warnings.js";
import type { Offer, OfferFacts, OfferPlace } from "./lease/offer.js";
import { offerGoneError } from "./lease/offer.js";
import type { OfferTracing } from "./lease/offer-tracing.js";
import { type Claim, type Held, type LeaseProof, Registry } from "./lease/registry.js";
import { LegTokens } from "./leg-tokens.js";
import { type RefusedCall, RelayEvents } from "./relay-events.js";
import { type ResumingOpen, Returns } from "./returns.js";
import { checkCapabilities } from "./stream/capabilities.js";
import { streamGoneError } from "./stream/ended-streams.js";
import type { Half, Role } from "./stream/half.js";
import { receivedSequenceOf, resetFrame } from "./stream/relayed-frame.js";
import type { Splice } from "./stream/splice.js";
import { type Opening, Splices } from "./stream/splices.js";
import { randomId, type TokenSigner } from "./token.js";

export interface RelayInit {
  limits: RelayLimits;
  clock: Clock;
  signer: TokenSigner;
  warnings: Warnings;
  /** Counts everything that the relay holds. */
  admission: Admission;
}

type ClaimOptions = Partial<Pick<Claim, "isResumable" | "ownerKey" | "caller">>;

/** Failures of those who guess the ids and the tokens of legs, leases and links. */
const guessFailures: ReadonlySet<Failure> = new Set([Failure.TOKEN_INVALID, Failure.LEASE_GONE]);

/** The request for which a caller was let in, what was verified about it then, and the newest token that proves it. */
interface ProvenRequest extends Pick<AuthorizeRequest, "action" | "name" | "metadata"> {
  claims: Claims | undefined;
  token: string;
}

type RelayState =
  | { kind: "open" }
  /** Nothing new is taken, and the streams that are there go on. */
  | { kind: "draining"; error: StreamError }
  | { kind: "closed"; error: StreamError };

/** The relay itself: names, offers, and streams between two endpoints. It knows nothing of RPCs. */
export class Relay {
  readonly limits: RelayLimits;
  readonly clock: Clock;
  readonly signer: TokenSigner;
  readonly warnings: Warnings;
  /** The events of the relay and of the calls around it, for logs, metrics and traces. */
  readonly events = new RelayEvents();
  #tracing: OfferTracing | undefined;
  readonly admission: Admission;
  readonly registry: Registry;
  readonly #splices: Splices;
  readonly #tokens: LegTokens;
  readonly #returns: Returns;
  #state: RelayState = { kind: "open" };

  constructor(init: RelayInit) {
    const { limits, clock, signer, warnings, admission } = init;
    this.limits = limits;
    this.clock = clock;
    this.signer = signer;
    this.warnings = warnings;
    this.admission = admission;
    this.registry = new Registry(init);
    this.#splices = new Splices({ limits, clock, admission, events: this.events });
    this.#tokens = new LegTokens({ signer, grants: admission.grants, registry: this.registry, splices: this.#splices });
    this.#returns = new Returns({
      limits,
      admission,
      tokens: this.#tokens,
      splices: this.#splices,
      checkOpen: () => this.#checkOpen(),
      offer: (opening) => this.#offer(opening),
    });
    this.registry.observe((change) => {
      this.events.tell({ kind: "lease", change });
      // A page that was loaded again comes back with its key, and without its streams.
      const isReplaced = change.kind === "destroyed" && change.end === "reclaimed" && change.wasSuspended;
      if (isReplaced) this.#splices.loseListener(change.lease);
    });
  }

  /** Whether the relay takes new names and streams. */
  get isOpen(): boolean {
    return this.#state.kind === "open";
  }

  /** The error that every request gets since `close`; undefined before. */
  get closed(): StreamError | undefined {
    return this.#state.kind === "closed" ? this.#state.error : undefined;
  }

  /**
   * Counts the open leases, offers, accepted streams and legs. An offer is a stream that its listener has not accepted
   * yet.
   */
  get counts(): { leases: number; offers: number; streams: number; legs: number } {
    const { offers } = this.#splices;
    return { leases: this.registry.size, offers, streams: this.#splices.size - offers, legs: this.#legs };
  }

  /** The number of open calls of `Connect` and `Accept`. */
  get #legs(): number {
    return this.admission.count("leg") + this.admission.count("ended leg");
  }

  /** Counts the leases and the accepted streams that wait for an endpoint to come back. */
  get suspended(): { leases: number; streams: number } {
    return { leases: this.registry.suspended, streams: this.#splices.suspended };
  }

  /** The bytes that have come from clients and from listeners so far, with their envelopes. */
  get bytes(): Readonly<Record<Role, number>> {
    return this.#splices.bytes;
  }

  /** The streams, offers among them, and those that have ended but whose endpoints have not all heard of it. */
  get streams(): Iterable<Splice> {
    return this.#splices.all;
  }

  /** Ends a stream, or an offer, with an error for both endpoints. Throws FAILURE_STREAM_GONE. */
  endStream(streamId: string, error: StreamError): void {
    const splice = this.#splices.get(streamId);
    if (splice === undefined || splice.kind === "ended") throw streamGoneError();
    splice.close(error);
  }

  /** Traces the streams that are offered from now on, until the returned function is called. Throws if that is done. */
  trace(tracing: OfferTracing): () => void {
    if (this.#tracing !== undefined) throw new RangeError("the streams of the relay are traced already");
    this.#tracing = tracing;
    return () => {
      this.#tracing = undefined;
    };
  }

  /**
   * Tells those who watch that a call was refused, and returns the error of the refusal. It is FAILURE_LIMIT_REACHED
   * for a caller that shows too many tokens that are none.
   */
  refused(reason: unknown, refusal: RefusedCall): StreamError {
    const stated = StreamError.from(reason, Code.Internal);
    const { caller } = refusal;
    const isGuess = caller !== undefined && guessFailures.has(stated.failure);
    const error = isGuess ? this.admission.afterGuess({ caller, refusal: stated }) : stated;
    this.events.refused(error, refusal);
    return error;
  }

  /**
   * Asks whether a caller may do what it asks for. Throws, or rejects with, FAILURE_DRAINING, FAILURE_NAME_INVALID, and
   * what `Admission.admit` throws.
   */
  admit(request: AuthorizeRequest): Admitted | Promise<Admitted> {
    if (request.action !== "list") {
      this.#checkOpen();
      this.registry.checkName(request.name);
    }
    return this.admission.admit(request);
  }

  /**
   * Asks whether a caller may take up a lease. Its token is enough, but for a lease that is made anew by that: where
   * there is a policy, the token has to carry a grant that still holds, or the caller is asked about as for a new name.
   * Throws FAILURE_TOKEN_INVALID, and throws or rejects with what `admit` does.
   */
  admitTakeUp(request: AuthorizeRequest, proof: LeaseProof): Admitted | Promise<Admitted> {
    this.#checkOpen();
    const { name, caller, metadata } = request;
    if (!this.admission.hasPolicy || this.registry.mayTakeUp(name, proof)) return { caller, metadata };
    return this.admit(request);
  }

  /** Whether a stream is here. */
  knows(streamId: string): boolean {
    return this.#splices.get(streamId) !== undefined;
  }

  /** What was verified about an endpoint of a stream when it was let in; undefined if nothing was. */
  claimsOf(role: Role, streamId: string): Claims | undefined {
    return this.#splices.get(streamId)?.grantOf(role)?.claims;
  }

  /** The time until the access token of an endpoint ends its stream, in milliseconds; undefined if it does not. */
  accessExpiresInMs(role: Role, streamId: string): number | undefined {
    return this.admission.grants.expiresInMs({ claims: this.claimsOf(role, streamId) });
  }

  /**
   * Returns what a client or a listener was let in for, by the token of its leg or lease. Throws FAILURE_TOKEN_INVALID,
   * FAILURE_STREAM_GONE, FAILURE_LEASE_GONE, and FAILURE_OFFER_GONE for the token of an offer that was taken elsewhere.
   */
  provenRequest(proof: Pick<RenewRequest, "streamId" | "legToken" | "leaseId" | "leaseToken">): ProvenRequest {
    if (proof.leaseId !== "") {
      const lease = this.registry.proven(proof.leaseId, proof.leaseToken);
      const { name, caller } = lease;
      return { action: "listen", name, metadata: {}, claims: caller.claims, token: this.registry.tokenOf(lease) };
    }
    const { streamId, legToken } = proof;
    const { role, issuer } = this.#tokens.proven(streamId, legToken);
    const stream = this.#splices.get(streamId);
    this.#tokens.checkLease(stream, legToken, issuer);
    if (stream === undefined || stream.kind === "ended") throw streamGoneError();
    const { claims, name = stream.name } = stream.grantOf(role) ?? {};
    const token = this.legToken(role, streamId);
    if (role === "listener") return { action: "listen", name, metadata: {}, claims, token };
    return { action: "connect", name, metadata: stream.facts.metadata, claims, token };
  }

  /** Claims a name, by default for this process. Throws FAILURE_DRAINING, and what `Registry.claim` throws. */
  listen(name: string, listed: boolean, options: ClaimOptions = {}): Held {
    this.#checkOpen();
    const { isResumable = false, ownerKey = "", caller = localCaller } = options;
    return this.registry.claim({ name, listed, isResumable, ownerKey, caller });
  }

  /** Takes up a lease. Throws FAILURE_DRAINING, FAILURE_LIMIT_REACHED, and what `Registry.takeUp` throws. */
  takeUp(claim: Claim, proof: LeaseProof): Held {
    this.#checkOpen();
    const held = this.registry.takeUp(claim, proof);
    this.admission.grants.letIn(claim.caller, held.lease.caller.claims);
    return held;
  }

  /**
   * Opens a stream, by default for this process, and offers it to the name's listener; if the name has none, the offer
   * waits for one. Throws FAILURE_NAME_INVALID, FAILURE_NO_SUCH_NAME, FAILURE_FRAME_TOO_LARGE, FAILURE_LIMIT_REACHED or
   * FAILURE_DRAINING.
   */
  connect(
    name: string,
    facts: OfferFacts,
    waitForListenerMs = 0,
    caller: Caller = localCaller,
  ): { splice: Splice; token: string } {
    this.#checkOpen();
    const splice = this.#offer({ id: randomId(), name, facts, waitForListenerMs, caller });
    return { splice, token: this.legToken("client", splice.id) };
  }

  #offer(opening: Opening): Splice {
    const { name, facts, waitForListenerMs } = opening;
    this.registry.checkName(name);
    this.#checkMetadata(facts.metadata);
    checkCapabilities(facts.capabilities);
    if (waitForListenerMs === 0) this.registry.byName(name);
    const traced = this.#tracing?.begin(opening.id, name, facts.metadata);
    const carried = traced === undefined ? facts : { ...facts, metadata: traced.metadata };
    try {
      const begin = (splice: Splice) => {
        splice.liveBy("client", opening.caller.claims);
        this.registry.offer(name, splice);
      };
      const stream = this.#splices.open({ ...opening, facts: carried }, begin);
      this.events.tell({ kind: "stream offered", stream });
      return stream;
    } catch (reason) {
      traced?.fail(StreamError.from(reason, Code.Internal));
      throw reason;
    }
  }

  /** The proof that a leg of a stream is an endpoint's. */
  legToken(role: Role, streamId: string): string {
    return this.#tokens.legToken(role, streamId);
  }

  /** The listener's proof that an offer was announced on its lease, by default the one where the offer waits. */
  offerToken(offer: Offer, lease?: OfferPlace): string {
    return this.#tokens.offerToken(offer, lease);
  }

  /** Returns the half to which an endpoint attaches again, by default one of this process. Throws as `Returns` does. */
  resume(role: Role, open: ResumingOpen, facts: OfferFacts, caller: Caller = localCaller): Half {
    return this.#returns.resume(role, open, facts, caller);
  }

  /** Throws FAILURE_TOKEN_INVALID, FAILURE_OFFER_GONE or FAILURE_FRAME_TOO_LARGE. */
  accept(streamId: string, token: string, capabilities: Capabilities | undefined): Half {
    checkCapabilities(capabilities);
    const issuer = this.#tokens.verify("listener", streamId, token);
    const splice = this.#splices.get(streamId);
    if (splice === undefined) throw offerGoneError();
    this.#tokens.checkLease(splice, token, issuer);
    return splice.accept(capabilities);
  }

  /**
   * Declines an offer, or ends a stream in the name of the endpoint whose token it is. A stream of another process that
   * nobody has taken up here ends as well: its peer hears so when it comes. Throws FAILURE_TOKEN_INVALID,
   * FAILURE_OFFER_GONE, FAILURE_DRAINING for a stream that may be elsewhere now, and FAILURE_PROTOCOL_VIOLATION for a
   * number that is no status code, or none of a frame.
   */
  reject(streamId: string, token: string, end: Pick<RejectRequest, "code" | "reason"> & Partial<RejectRequest>): void {
    const { code, reason, failure = Failure.UNSPECIFIED, receivedSequence = 0n } = end;
    const { role, issuer } = this.#tokens.proven(streamId, token);
    const received = receivedSequenceOf(receivedSequence);
    if (!(code in Code)) {
      throw new StreamError(`${code} is not a status code`, { failure: Failure.PROTOCOL_VIOLATION });
    }
    const splice = this.#splices.get(streamId);
    this.#tokens.checkLease(splice, token, issuer);
    const error = new StreamError(cutReason(reason), { failure, code });
    if (role === "listener" && splice?.kind === "offered") {
      return splice.reject(new StreamError(cutReason(reason), { failure: Failure.DECLINED, code }));
    }
    if (splice !== undefined) return splice.reset(role, error, received);
    // A relay that leaves may have held the stream, whose endpoints meet elsewhere now.
    this.#checkOpen();
    const isNew =
      issuer === "another process" && this.#splices.ended.addReset(streamId, role, resetFrame(error, received));
    if (!isNew) throw offerGoneError();
  }

  /**
   * Refuses new names and streams. Those that are there stay, and a listener may take the offers that it has. Listeners
   * and endpoints that can resume are told to leave within `graceMs`. Returns the error of the refusals.
   */
  drain(graceMs = 0): StreamError {
    if (this.#state.kind === "open") {
      this.#state = { kind: "draining", error: goingAwayError() };
      this.registry.drain(graceMs);
      this.#splices.drain(graceMs, this.#state.error);
    }
    return this.#state.error;
  }

  /**
   * Resolves when no stream, offer or leg is left, or when the relay is closed. Never rejects. Listeners are not waited
   * for: one that can resume takes its lease up elsewhere however its call ends. Endpoints that have not read how their
   * legs ended are waited for so long after the end of the last stream.
   */
  async idle(unreadTimeoutMs: number): Promise<void> {
    const { admission, clock } = this;
    const isOpen = () => this.#state.kind !== "closed";
    while (isOpen() && this.#splices.size + admission.count("leg") > 0) await admission.released.changed();
    const untilMs = clock.now() + unreadTimeoutMs;
    const cancelDeadline = clock.after(unreadTimeoutMs, () => admission.released.notify());
    while (isOpen() && this.#legs > 0 && clock.now() < untilMs) await admission.released.changed();
    cancelDeadline();
  }

  /** Ends all leases and streams, and refuses new ones. Returns the error that all of them end with. */
  close(): StreamError {
    const error = this.#state.kind === "open" ? goingAwayError() : this.#state.error;
    this.#state = { kind: "closed", error };
    this.registry.close(error);
    this.#splices.close(error);
    this.admission.released.notify();
    return error;
  }

  #checkMetadata(metadata: Record<string, string>): void {
    let metadataBytes = 0;
    for (const [key, value] of Object.entries(metadata)) {
      metadataBytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    }
    if (metadataBytes <= this.limits.maxMetadataBytes) return;
    throw new StreamError(`${metadataBytes} bytes of metadata are more than ${this.limits.maxMetadataBytes}`, {
      failure: Failure.FRAME_TOO_LARGE,
      limit: exceededLimit("maxMetadataBytes", this.limits.maxMetadataBytes),
    });
  }

  #checkOpen(): void {
    if (this.#state.kind !== "open") throw this.#state.error;
  }
}

function goingAwayError(): StreamError {
  return new StreamError("the relay is going away", { failure: Failure.DRAINING });
}
