import { toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { type Capabilities, CapabilitiesSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { cutReason, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Condition } from "../../stream/platform/deferred.js";
import type { Half } from "./half.js";
import { maxTimerMs, type RelayLimits } from "./limits.js";
import type { Offer, OfferFacts } from "./offer.js";
import { type Claim, type Held, type LeaseProof, Registry } from "./registry.js";
import { Splice } from "./splice.js";
import { randomId, type TokenSigner } from "./token.js";
import type { Warnings } from "./warnings.js";

/** Capabilities of one endpoint, encoded. All that exist take less than 20 bytes; 1,024 leave room for later ones. */
export const maxCapabilitiesBytes = 1_024;

export interface RelayInit {
  limits: RelayLimits;
  clock: Clock;
  signer: TokenSigner;
  /** Tells the operator when a limit is reached. */
  warnings: Warnings;
}

type ClaimOptions = Partial<Pick<Claim, "isResumable" | "ownerKey">>;

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
  readonly registry: Registry;
  readonly #splices = new Map<string, Splice>();
  /** The legs whose RPCs are open. */
  readonly legs = new OpenLegs(() => this.#released.notify());
  /** Notified when a stream or a leg is over, and when the relay is closed. */
  readonly #released = new Condition();
  #state: RelayState = { kind: "open" };

  constructor(init: RelayInit) {
    const { limits, clock, signer, warnings } = init;
    this.limits = limits;
    this.clock = clock;
    this.signer = signer;
    this.warnings = warnings;
    this.registry = new Registry(init);
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
    let offers = 0;
    for (const splice of this.#splices.values()) if (splice.kind === "offered") offers += 1;
    return { leases: this.registry.size, offers, streams: this.#splices.size - offers, legs: this.legs.size };
  }

  /** Claims a name. Throws FAILURE_DRAINING, and what `Registry.claim` throws. */
  listen(name: string, listed: boolean, { isResumable = false, ownerKey = "" }: ClaimOptions = {}): Held {
    this.#checkOpen();
    return this.registry.claim({ name, listed, isResumable, ownerKey });
  }

  /** Takes up a lease. Throws FAILURE_DRAINING, and what `Registry.takeUp` throws. */
  takeUp(claim: Claim, proof: LeaseProof): Held {
    this.#checkOpen();
    return this.registry.takeUp(claim, proof);
  }

  /**
   * Opens a stream and offers it to the name's listener; if the name has none, the offer waits for one. Throws
   * FAILURE_NAME_INVALID, FAILURE_NO_SUCH_NAME, FAILURE_FRAME_TOO_LARGE, FAILURE_LIMIT_REACHED or FAILURE_DRAINING.
   */
  connect(name: string, facts: OfferFacts, waitForListenerMs = 0): { splice: Splice; token: string } {
    this.#checkOpen();
    this.registry.checkName(name);
    this.#checkMetadata(facts.metadata);
    checkCapabilities(facts.capabilities);
    if (waitForListenerMs === 0) this.registry.byName(name);
    if (this.#splices.size >= this.limits.maxStreams) {
      throw this.warnings.limitReached("maxStreams", `the relay holds ${this.limits.maxStreams} streams already`);
    }
    const { maxFrameBytes, lingerTimeoutMs } = this.limits;
    const splice = new Splice({
      id: randomId(),
      facts,
      clock: this.clock,
      maxFrameBytes,
      lingerTimeoutMs,
      waitUntilMs: this.clock.now() + Math.min(waitForListenerMs, maxTimerMs),
      onEnd: ({ id }) => {
        this.#splices.delete(id);
        this.#released.notify();
      },
    });
    this.registry.offer(name, splice);
    this.#splices.set(splice.id, splice);
    return { splice, token: this.signer.sign("client leg", splice.id) };
  }

  /** The listener's proof that an offer was made to it. */
  offerToken({ id }: Offer): string {
    return this.signer.sign("listener leg", id);
  }

  /** Throws FAILURE_TOKEN_INVALID, FAILURE_OFFER_GONE or FAILURE_FRAME_TOO_LARGE. */
  accept(streamId: string, token: string, capabilities: Capabilities | undefined): Half {
    checkCapabilities(capabilities);
    return this.#offered(streamId, token).accept(capabilities);
  }

  /** Throws as `accept` does, and FAILURE_PROTOCOL_VIOLATION for a number that is no status code. */
  reject(streamId: string, token: string, code: number, reason: string): void {
    const splice = this.#offered(streamId, token);
    if (!(code in Code)) {
      throw new StreamError(`${code} is not a status code`, { failure: Failure.PROTOCOL_VIOLATION });
    }
    splice.reject(new StreamError(cutReason(reason), { failure: Failure.DECLINED, code }));
  }

  /**
   * Refuses new names and streams. Those that are there stay, and a listener may take the offers that it has. Listeners
   * that can resume are told to leave within `graceMs`. Returns the error of the refusals.
   */
  drain(graceMs = 0): StreamError {
    if (this.#state.kind === "open") {
      this.#state = { kind: "draining", error: goingAwayError() };
      this.registry.drain(graceMs);
    }
    return this.#state.error;
  }

  /**
   * Resolves when no stream, offer or leg is left, or when the relay is closed. Never rejects. Listeners are not waited
   * for: one that can resume takes its lease up elsewhere however its call ends.
   */
  async idle(): Promise<void> {
    while (this.#state.kind !== "closed" && this.#splices.size + this.legs.size > 0) await this.#released.changed();
  }

  /** Ends all leases and streams, and refuses new ones. Returns the error that all of them end with. */
  close(): StreamError {
    const error = this.#state.kind === "open" ? goingAwayError() : this.#state.error;
    this.#state = { kind: "closed", error };
    this.registry.close(error);
    for (const splice of [...this.#splices.values()]) splice.end(error, error);
    this.#released.notify();
    return error;
  }

  #offered(streamId: string, token: string): Splice {
    this.signer.verify("listener leg", streamId, token);
    const splice = this.#splices.get(streamId);
    if (splice !== undefined) return splice;
    throw new StreamError("the offer was withdrawn, or its time ran out", { failure: Failure.OFFER_GONE });
  }

  #checkMetadata(metadata: Record<string, string>): void {
    let metadataBytes = 0;
    for (const [key, value] of Object.entries(metadata)) {
      metadataBytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    }
    if (metadataBytes <= this.limits.maxMetadataBytes) return;
    throw new StreamError(`${metadataBytes} bytes of metadata are more than ${this.limits.maxMetadataBytes}`, {
      failure: Failure.FRAME_TOO_LARGE,
    });
  }

  #checkOpen(): void {
    if (this.#state.kind !== "open") throw this.#state.error;
  }
}

/** A set of the legs whose RPCs are open. It tells when one is taken out. */
class OpenLegs extends Set<object> {
  readonly #onDelete: () => void;

  constructor(onDelete: () => void) {
    super();
    this.#onDelete = onDelete;
  }

  override delete(leg: object): boolean {
    const wasOpen = super.delete(leg);
    if (wasOpen) this.#onDelete();
    return wasOpen;
  }
}

function goingAwayError(): StreamError {
  return new StreamError("the relay is going away", { failure: Failure.DRAINING });
}

/** Capabilities are passed on whole, with fields that this relay does not know, and kept as long as the stream. */
function checkCapabilities(capabilities: Capabilities | undefined): void {
  if (capabilities === undefined) return;
  const { byteLength } = toBinary(CapabilitiesSchema, capabilities);
  if (byteLength <= maxCapabilitiesBytes) return;
  const message = `the capabilities take ${byteLength} bytes, more than ${maxCapabilitiesBytes}`;
  throw new StreamError(message, { failure: Failure.FRAME_TOO_LARGE });
}
