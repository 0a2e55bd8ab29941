import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import type { Capabilities } from "../../gen/streamserver/v1/relay_pb.js";
import { Condition } from "../../stream/deferred.js";
import { StreamError } from "../../stream/stream-error.js";
import type { RelayedFrame } from "./relayed-frame.js";

/** What an endpoint is sent on its leg after `Opened`. */
export type LegEvent =
  | { kind: "accepted"; capabilities: Capabilities | undefined }
  | { kind: "frame"; frame: RelayedFrame };

type LegChange = "frame" | "request ended" | "reset taken" | StreamError;

/**
 * The relay's side of one leg. It holds at most one frame on its way to the other leg: whoever puts the next one waits,
 * and with it the transport, and with that the endpoint.
 */
export class SpliceLeg {
  peer!: SpliceLeg;
  readonly #onChange: (change: LegChange) => void;
  /** For who sends to this leg's endpoint: there is something to send, or the end. */
  readonly #due = new Condition();
  /** For who puts: the other leg has taken a frame, or there is the end. */
  readonly #taken = new Condition();
  #said: "nothing" | "fin" | "reset" = "nothing";
  #request: "open" | "ended" = "open";
  #slot: RelayedFrame | undefined;
  #accepted: { capabilities: Capabilities | undefined } | undefined;
  #end: { error: StreamError | undefined } | undefined;

  constructor(onChange: (change: LegChange) => void) {
    this.#onChange = onChange;
  }

  /** The last word of this leg's endpoint. */
  get said(): "nothing" | "fin" | "reset" {
    return this.#said;
  }

  get requestEnded(): boolean {
    return this.#request === "ended";
  }

  announceAccepted(capabilities: Capabilities | undefined): void {
    this.#accepted = { capabilities };
    this.#due.notify();
  }

  /** Hands a frame from this leg's endpoint to the other leg. Resolves when it was taken, or will never be. */
  async put(frame: RelayedFrame): Promise<void> {
    while (this.#slot !== undefined && this.#end === undefined) await this.#taken.changed();
    if (this.#end !== undefined || this.#said === "reset") return;
    this.#slot = frame;
    if (frame.reset !== undefined) this.#said = "reset";
    else if (frame.fin) this.#said = "fin";
    this.peer.#due.notify();
    this.#onChange("frame");
    while (this.#slot === frame && this.#end === undefined) await this.#taken.changed();
  }

  /** This leg's endpoint has ended its request, which it may do once it has sent its last word. */
  endRequest(): void {
    this.#request = "ended";
    if (this.#said !== "nothing") return this.#onChange("request ended");
    this.fail(new StreamError("the request ended before fin", { failure: Failure.PROTOCOL_VIOLATION }));
  }

  /** This leg failed: its endpoint cancelled, vanished, or broke a rule. */
  fail(error: StreamError): void {
    this.#onChange(error);
  }

  /** What this leg's endpoint is to be sent, until the stream is over; throws why, unless it ended well. */
  async *events(): AsyncGenerator<LegEvent, void, undefined> {
    for (;;) {
      const accepted = this.#accepted;
      if (accepted !== undefined) {
        this.#accepted = undefined;
        yield { kind: "accepted", capabilities: accepted.capabilities };
        continue;
      }
      const frame = this.peer.#slot;
      if (frame !== undefined) {
        this.peer.#slot = undefined;
        this.peer.#taken.notify();
        yield { kind: "frame", frame };
        if (frame.reset !== undefined) this.#onChange("reset taken");
        continue;
      }
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return;
      await this.#due.changed();
    }
  }

  /** The stream is over. */
  end(error: StreamError | undefined): void {
    this.#end = { error };
    this.#due.notify();
    this.#taken.notify();
  }
}
