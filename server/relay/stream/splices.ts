import type { StreamError } from "../../../stream/error/stream-error.js";
import type { Clock } from "../../../stream/platform/clock.js";
import type { Admission } from "../../admission/admission.js";
import { maxTimerMs, type RelayLimits } from "../../admission/limits.js";
import type { OfferPlace } from "../lease/offer.js";
import type { RelayEvents } from "../relay-events.js";
import { EndedStreams } from "./ended-streams.js";
import type { Role } from "./half.js";
import { Splice, type SpliceInit } from "./splice.js";
import { StreamExpiry } from "./stream-expiry.js";

/**
 * The streams of a relay that drains are told to leave in steps of this length, so that they do not all come at once.
 */
const moveIntervalMs = 20;

export interface SplicesInit {
  limits: RelayLimits;
  clock: Clock;
  admission: Admission;
  events: RelayEvents;
}

/** The facts with which a stream begins. */
export type Opening = Pick<SpliceInit, "id" | "name" | "facts" | "caller"> & { waitForListenerMs: number };

type SplicesState =
  | { kind: "open" }
  /** The streams leave one after the other, and one that no endpoint has a leg to is dropped. */
  | { kind: "leaving"; error: StreamError; stopMoving: () => void };

/** The streams of a relay, by their ids. */
export class Splices {
  readonly #init: SplicesInit;
  readonly #splices = new Map<string, Splice>();
  /** The bytes that streams have passed which are no longer here. */
  #pastBytes: Readonly<Record<Role, number>> = { client: 0, listener: 0 };
  /** The streams that have ended lately. */
  readonly ended: EndedStreams;
  readonly #expiry: StreamExpiry;
  #state: SplicesState = { kind: "open" };

  constructor(init: SplicesInit) {
    this.#init = init;
    this.ended = new EndedStreams(init.clock);
    const { limits, clock } = init;
    this.#expiry = new StreamExpiry({ limits, clock, streams: () => this.#splices.values() });
  }

  get all(): Iterable<Splice> {
    return this.#splices.values();
  }

  get size(): number {
    return this.#splices.size;
  }

  /** How many offers wait for their listeners. */
  get offers(): number {
    return this.#count(({ kind }) => kind === "offered");
  }

  /** How many accepted streams wait for an endpoint whose leg was lost. */
  get suspended(): number {
    return this.#count(({ isSuspended }) => isSuspended);
  }

  /** The bytes that have come from the endpoints of all streams so far, by their role. */
  get bytes(): Readonly<Record<Role, number>> {
    let { client, listener } = this.#pastBytes;
    for (const splice of this.#splices.values()) {
      client += splice.client.bytes;
      listener += splice.listener.bytes;
    }
    return { client, listener };
  }

  #count(counts: (splice: Splice) => boolean): number {
    let count = 0;
    for (const splice of this.#splices.values()) if (counts(splice)) count += 1;
    return count;
  }

  /** The listener that took offers at a place is gone for good. */
  loseListener(place: OfferPlace): void {
    for (const splice of [...this.#splices.values()]) splice.loseListener(place);
  }

  get(id: string): Splice | undefined {
    return this.#splices.get(id);
  }

  /**
   * Makes a stream and `begin`s it. Throws FAILURE_LIMIT_REACHED, or the error of `begin`; then there is no stream.
   */
  open(init: Opening, begin: (splice: Splice) => void): Splice {
    const { limits, clock, admission, events } = this.#init;
    const { id, name, facts, caller, waitForListenerMs } = init;
    const { maxFrameBytes, lingerTimeoutMs, graceMs } = limits;
    const hold = admission.hold(caller, { kind: "stream", name });
    const splice: Splice = new Splice({
      id,
      name,
      facts,
      caller,
      clock,
      maxFrameBytes,
      lingerTimeoutMs,
      graceMs,
      waitUntilMs: clock.now() + Math.min(waitForListenerMs, maxTimerMs),
      grants: admission.grants,
      tell: (change) => events.tell(change),
      onLegLost: () => this.#onLegLost(splice),
      onEnd: () => {
        // A stream that could not begin is not there.
        if (this.#splices.delete(id)) this.#addPastBytes(splice);
        if (splice.wasResumable) this.ended.add(splice);
        hold.release();
        stopHolding();
        if (this.#splices.size === 0) this.#expiry.stop();
      },
    });
    const stopHolding = admission.heldBytes.add(splice);
    try {
      begin(splice);
    } catch (reason) {
      hold.release();
      stopHolding();
      splice.releaseGrants();
      throw reason;
    }
    this.#splices.set(id, splice);
    this.#expiry.start();
    return splice;
  }

  /**
   * Tells the endpoints to leave, one stream after the other, and no endpoint later than in the middle of `graceMs`.
   * The two endpoints of a stream are told together. Streams that no endpoint has a leg to end with `error`, as nobody
   * can take them up here.
   */
  drain(graceMs: number, error: StreamError): void {
    const { clock } = this.#init;
    const [startMs, untilMs] = [clock.now(), clock.now() + graceMs];
    const waiting = [...this.#splices.values()];
    const [count, moveMs] = [waiting.length, graceMs / 2];
    const move = () => {
      const share = moveMs > 0 ? Math.min(1, (clock.now() - startMs) / moveMs) : 1;
      const told = count - waiting.length;
      for (const splice of waiting.splice(0, Math.floor(count * share) - told)) splice.drain(untilMs);
      if (waiting.length > 0) stop = clock.after(moveIntervalMs, move);
    };
    let stop = () => {};
    this.#set({ kind: "leaving", error, stopMoving: () => stop() });
    for (const splice of waiting) this.#onLegLost(splice);
    move();
  }

  /** Ends all streams. */
  close(error: StreamError): void {
    this.#set({ kind: "open" });
    for (const splice of [...this.#splices.values()]) splice.close(error);
  }

  #addPastBytes({ client, listener }: Splice): void {
    const past = this.#pastBytes;
    this.#pastBytes = { client: past.client + client.bytes, listener: past.listener + listener.bytes };
  }

  #onLegLost(splice: Splice): void {
    if (this.#state.kind === "leaving" && !splice.hasLeg) splice.close(this.#state.error);
  }

  #set(state: SplicesState): void {
    if (this.#state.kind === "leaving") this.#state.stopMoving();
    this.#state = state;
  }
}
