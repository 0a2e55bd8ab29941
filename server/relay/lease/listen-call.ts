import type { StreamError } from "../../../stream/error/stream-error.js";
import { Condition, Deferred } from "../../../stream/platform/deferred.js";
import { Fifo } from "../../../stream/platform/fifo.js";
import type { Offer } from "./offer.js";

/** An event on a `Listen` call. */
export type ListenEvent =
  | { kind: "draining"; graceMs: number }
  | { kind: "withdrawn"; streamId: string }
  | { kind: "offer"; offer: Offer };

type ListenCallState =
  | { kind: "open" }
  /** The relay leaves, and the listener was told to take its lease up elsewhere. */
  | { kind: "draining" }
  | { kind: "over"; error: StreamError | undefined };

/**
 * One `Listen` call of a lease, and the events that its listener has not heard of yet. The listener asks for them one
 * by one. As many may wait as there are offers at the lease, however slowly the listener reads.
 */
export class ListenCall {
  /** Whether the lease is suspended, and not ended, when the call breaks. */
  readonly isResumable: boolean;
  /** Offers that the call has not announced yet. An offer that is withdrawn before leaves no trace. */
  readonly #unannounced = new Set<Offer>();
  /** The streams in `Registered.waiting_stream_ids`. The listener may know their offers from an earlier call. */
  readonly #mentioned = new Set<string>();
  readonly #withdrawn = new Fifo<string>();
  #drainingGraceMs: number | undefined;
  readonly #changed = new Condition();
  readonly #over = new Deferred<void>();
  #state: ListenCallState = { kind: "open" };

  constructor(isResumable: boolean) {
    this.isResumable = isResumable;
  }

  /** Resolves when the call is over. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  get isDraining(): boolean {
    return this.#state.kind === "draining";
  }

  /** Returns the streams whose offers wait, for `Registered`. The listener hears when one of them is withdrawn. */
  mentionWaiting(): string[] {
    for (const { id } of this.#unannounced) this.#mentioned.add(id);
    return [...this.#mentioned];
  }

  announce(offer: Offer): void {
    this.#unannounced.add(offer);
    this.#changed.notify();
  }

  /** An offer no longer waits. The listener is told, unless it took or declined the offer itself. */
  settle(offer: Offer, by: "listener" | "relay"): void {
    const isUnheard = this.#unannounced.delete(offer) && !this.#mentioned.has(offer.id);
    if (isUnheard || by === "listener") return;
    this.#withdrawn.push(offer.id);
    this.#changed.notify();
  }

  /** Tells the listener that the relay leaves, and that the call may go on for so long. */
  drain(graceMs: number): void {
    if (this.#state.kind !== "open") return;
    this.#state = { kind: "draining" };
    this.#drainingGraceMs = graceMs;
    this.#changed.notify();
  }

  /** Ends the call, well or with an error. Nothing more of it is heard. */
  end(error?: StreamError): void {
    if (this.#state.kind === "over") return;
    this.#state = { kind: "over", error };
    this.#unannounced.clear();
    this.#withdrawn.clear();
    this.#over.resolve();
    this.#changed.notify();
  }

  /** Yields the events until the call is over, and throws the error with which it ended, if it did. */
  async *events(): AsyncGenerator<ListenEvent, void, undefined> {
    for (;;) {
      if (this.#state.kind === "over") {
        if (this.#state.error !== undefined) throw this.#state.error;
        return;
      }
      const event = this.#next();
      if (event === undefined) await this.#changed.changed();
      else yield event;
    }
  }

  #next(): ListenEvent | undefined {
    const graceMs = this.#drainingGraceMs;
    if (graceMs !== undefined) {
      this.#drainingGraceMs = undefined;
      return { kind: "draining", graceMs };
    }
    const streamId = this.#withdrawn.shift();
    if (streamId !== undefined) return { kind: "withdrawn", streamId };
    const [offer] = this.#unannounced;
    if (offer === undefined) return undefined;
    this.#unannounced.delete(offer);
    return { kind: "offer", offer };
  }
}
