import type { Transport } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Opened, Capabilities as WireCapabilities } from "../../gen/streamserver/v1/relay_pb.js";
import type { LegCall, LegCallHandlers, LegMethod, Open } from "../../leg/leg-call.js";
import { transferredAwayError } from "../../stream/endpoint/bytes.js";
import { type Capabilities, capabilitiesFromWire } from "../../stream/endpoint/capabilities.js";
import type { Endpoint, EndpointEvent } from "../../stream/endpoint/endpoint.js";
import type { Frame } from "../../stream/endpoint/frame.js";
import { relayLostError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { afterTurn } from "../../stream/platform/turn.js";
import type { TransportKind } from "../../stream/stream-life.js";
import {
  doubt,
  legCallerOf,
  relayOf,
  transportError,
  transportFactsOf,
  transportKind,
} from "../transport/transport-facts.js";

/** The owner of a leg, which hears what the relay says on it. */
export interface LegOwner {
  /** The relay has taken the leg. */
  onOpened(leg: Leg, opened: Opened, transport: TransportKind | undefined): void;
  /** `Connect` only: the listener has accepted. */
  onAccepted(leg: Leg, peer: Capabilities): void;
  onSuspended(graceMs: number): void;
  onResumed(receivedSequence: number): void;
  onDraining(leg: Leg): void;
  /** The call is over, with an error unless the relay ended it well. Called once, as the last. */
  onEnd(leg: Leg, error: StreamError | undefined): void;
}

export interface LegInit {
  endpoint: Endpoint;
  transport: Transport;
  method: LegMethod;
  open: Open;
  /** The relay has this long to answer, a connection to it included. */
  timeoutMs: number;
  clock: Clock;
  owner: LegOwner;
}

type LegState =
  | { kind: "attaching"; cancelDeadline: () => void }
  /** The relay has the leg. "scheduled": frames are taken when this turn of the application is over. */
  | { kind: "attached"; sending: "idle" | "scheduled" | "full" | "ended" }
  | { kind: "over" };

/** One attachment of an endpoint: the call of its leg, from its `Open` to its end. */
export class Leg implements LegCallHandlers {
  readonly #init: LegInit;
  readonly #call: LegCall;
  #state: LegState;
  /** "held": nothing is read in this turn, whatever room there is. */
  #reading: "on" | "paused" | "held" = "on";
  #header: Headers | undefined;

  constructor(init: LegInit) {
    const { transport, method, open, timeoutMs, clock } = init;
    this.#init = init;
    this.#state = { kind: "attaching", cancelDeadline: clock.after(timeoutMs, () => this.#end(doubt(transport))) };
    this.#call = legCallerOf(transport)(method, open, this);
  }

  /** Has the next call over the same transport open a connection of its own, because the relay is draining. */
  moveOn(): void {
    transportFactsOf(this.#init.transport).moveOn?.(this.#header);
  }

  /** Ends the call. `LegOwner.onEnd` is not called any more. */
  drop(): void {
    if (this.#state.kind === "over") return;
    this.#set({ kind: "over" });
    this.#call.cancel();
  }

  /** Reads nothing more in this turn, so that the application hears of what has happened before it gets a message. */
  hold(): void {
    this.#reading = "held";
    this.#call.pause();
    afterTurn(() => {
      this.#reading = "paused";
      this.#makeRoom();
    });
  }

  onEndpointChange(event: EndpointEvent): void {
    if (event === "sendable" || event === "state") this.#schedule();
    if (event === "read" || event === "state") this.#makeRoom();
  }

  onHeader(header: Headers): void {
    this.#header = header;
  }

  onOpened(opened: Opened): void {
    if (this.#state.kind !== "attaching") return;
    const { transport, owner } = this.#init;
    transportFactsOf(transport).setHeartbeat?.(opened.heartbeatIntervalMs);
    this.#set({ kind: "attached", sending: "idle" });
    owner.onOpened(this, opened, transportKind(transport, this.#header));
    this.#schedule();
  }

  onAccepted(capabilities: WireCapabilities | undefined): void {
    if (this.#state.kind === "attached") this.#init.owner.onAccepted(this, capabilitiesFromWire(capabilities));
  }

  onSuspended(graceMs: number): void {
    if (this.#state.kind === "attached") this.#init.owner.onSuspended(graceMs);
  }

  onResumed(receivedSequence: number): void {
    if (this.#state.kind === "attached") this.#init.owner.onResumed(receivedSequence);
  }

  onDraining(): void {
    if (this.#state.kind === "attached") this.#init.owner.onDraining(this);
  }

  onFrame(frame: Frame): void {
    if (this.#state.kind !== "attached") return;
    const { endpoint } = this.#init;
    endpoint.receive(frame);
    if (!endpoint.hasRoom) this.#pause();
  }

  onDrain(): void {
    if (this.#state.kind !== "attached" || this.#state.sending !== "full") return;
    this.#set({ kind: "attached", sending: "idle" });
    this.#send();
  }

  onTransferredAway(): void {
    this.#init.endpoint.reset(transferredAwayError());
  }

  onEnd(reason: unknown, isBroken = false): void {
    if (this.#state.kind === "over") return;
    if (reason === undefined) return this.#end(undefined);
    const isAnswered = this.#state.kind === "attached";
    const { transport } = this.#init;
    const error = transportError(reason, transport, isAnswered);
    // The connection below has failed, for whichever reason of its own, unless this side has ended it.
    const isLost = isBroken && isAnswered && error.hop !== Hop.CALLER && !isLoss(error);
    this.#end(
      isLost ? relayLostError(`the connection to ${relayOf(transport)} is lost: ${error.message}`, error) : error,
    );
  }

  #end(error: StreamError | undefined): void {
    this.#set({ kind: "over" });
    if (error?.failure === Failure.DRAINING) this.moveOn();
    if (error !== undefined) this.#call.cancel();
    this.#init.owner.onEnd(this, error);
  }

  /** In a turn of its own, so that messages that are written together travel in one frame. */
  #schedule(): void {
    if (this.#state.kind !== "attached" || this.#state.sending !== "idle") return;
    this.#set({ kind: "attached", sending: "scheduled" });
    afterTurn(() => {
      if (this.#state.kind !== "attached" || this.#state.sending !== "scheduled") return;
      this.#set({ kind: "attached", sending: "idle" });
      this.#send();
    });
  }

  #send(): void {
    const { endpoint } = this.#init;
    for (let frame = endpoint.takeFrame(); frame !== undefined; frame = endpoint.takeFrame()) {
      if (this.#call.send(frame)) continue;
      if (this.#state.kind === "attached") this.#set({ kind: "attached", sending: "full" });
      return;
    }
    const { kind } = endpoint.state;
    const hasMore = kind === "open" || kind === "resetting" || (kind === "closed" && endpoint.isDetached);
    if (hasMore || this.#state.kind !== "attached") return;
    this.#set({ kind: "attached", sending: "ended" });
    this.#call.end();
  }

  #pause(): void {
    if (this.#reading === "on") this.#reading = "paused";
    this.#call.pause();
  }

  #makeRoom(): void {
    if (this.#reading !== "paused" || !this.#init.endpoint.hasRoom) return;
    this.#reading = "on";
    this.#call.resume();
  }

  #set(state: LegState): void {
    if (this.#state.kind === "attaching") this.#state.cancelDeadline();
    this.#state = state;
  }
}

/** Returns whether an error says that this side's connection to the relay is lost. */
export function isLoss({ failure, hop }: StreamError): boolean {
  return failure === Failure.LEG_LOST && hop === Hop.RELAY;
}
