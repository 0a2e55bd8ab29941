import type { Frame } from "../../../stream/endpoint/frame.js";
import type { StreamError } from "../../../stream/error/stream-error.js";
import { Side, type SideInit } from "./two-endpoints.js";

/** A message of the relay's on a leg. */
type Told = { kind: "frame"; frame: Frame } | { kind: "suspended" } | { kind: "resumed"; receivedSequence: number };

/**
 * One side of a stream, its leg, and the half that the relay has of it. An endpoint and the relay notice a broken leg
 * each in its own time. Each method is one move and returns whether there was something to do.
 */
export class RelayedSide {
  readonly side: Side;
  #peer: RelayedSide | undefined;
  #carrier: "alive" | "broken" = "alive";
  #endpoint: "attached" | "detached" = "attached";
  #half: "attached" | "detached" = "attached";
  /** The frame that waits in the relay for this side. */
  #slot: Frame | undefined;
  /** The messages between the relay and the endpoint. The frames to the relay are in `side.onWire`. */
  #down: Told[] = [];
  /** The highest number that the relay knows this side to have. */
  #knownSequence = 0;

  constructor(init: SideInit) {
    this.side = new Side({ ...init, resume: true });
  }

  meet(peer: RelayedSide): void {
    this.#peer = peer;
    this.side.meet(peer.side);
  }

  get knownSequence(): number {
    return this.#knownSequence;
  }

  /** The endpoint hands a frame to its leg, which loses it if it is broken. */
  take(): boolean {
    const isTaken = this.side.takeFrame();
    if (this.#carrier === "broken") this.side.onWire = [];
    return isTaken;
  }

  /** The relay takes a frame of this side, if none waits for the peer. */
  forward(): boolean {
    const peer = this.#peer as RelayedSide;
    if (this.#half === "detached" || peer.#slot !== undefined) return false;
    const frame = this.side.onWire.shift();
    if (frame === undefined) return false;
    this.#knownSequence = Math.max(this.#knownSequence, frame.ack);
    peer.#slot = frame;
    return true;
  }

  /** The relay writes the waiting frame to this side's leg, which loses it if it is broken. */
  pass(): boolean {
    if (this.#slot === undefined || this.#half === "detached") return false;
    this.#tell({ kind: "frame", frame: this.#slot });
    this.#slot = undefined;
    return true;
  }

  /** The endpoint hears the next message of the relay. */
  hear(): boolean {
    const told = this.#down.shift();
    if (told?.kind === "frame") this.side.receive(told.frame);
    if (told?.kind === "suspended") this.side.endpoint.detach();
    if (told?.kind === "resumed") this.side.endpoint.resume(told.receivedSequence);
    return told !== undefined;
  }

  /** The leg breaks: what is on its way is lost. */
  cut(): boolean {
    if (this.#carrier === "broken") return false;
    this.#carrier = "broken";
    this.side.onWire = [];
    this.#down = [];
    return true;
  }

  relayNotices(): boolean {
    if (this.#carrier === "alive" || this.#half === "detached") return false;
    this.#half = "detached";
    const peer = this.#peer as RelayedSide;
    if (peer.#half === "attached") peer.#tell({ kind: "suspended" });
    return true;
  }

  endpointNotices(): boolean {
    if (this.#carrier === "alive" || this.#endpoint === "detached") return false;
    this.#endpoint = "detached";
    this.side.endpoint.detach();
    return true;
  }

  /** The endpoint attaches again, whether the relay has noticed the break or not. */
  attach(): boolean {
    if (this.#endpoint === "attached") return false;
    const peer = this.#peer as RelayedSide;
    this.#endpoint = "attached";
    this.#carrier = "alive";
    this.#half = "attached";
    this.#knownSequence = Math.max(this.#knownSequence, this.side.endpoint.receivedSequence);
    this.side.endpoint.expectGap();
    if (peer.#half === "detached") {
      this.#tell({ kind: "suspended" });
    } else {
      this.#tell({ kind: "resumed", receivedSequence: peer.#knownSequence });
      peer.#tell({ kind: "resumed", receivedSequence: this.#knownSequence });
    }
    return true;
  }

  /** The relay is killed, and another that knows nothing of the stream takes its place. */
  forget(): void {
    this.cut();
    this.#half = "detached";
    this.#slot = undefined;
    this.#knownSequence = 0;
  }

  /** The relay ends the stream with an error of its own. */
  end(error: StreamError): void {
    this.side.endpoint.fail(error);
  }

  #tell(told: Told): void {
    if (this.#carrier === "alive") this.#down.push(told);
  }
}

/** Two endpoints with a relay between them that resumes their stream. */
export function relayedSides(inits: readonly [SideInit, SideInit]): [RelayedSide, RelayedSide] {
  const [a, b] = [new RelayedSide(inits[0]), new RelayedSide(inits[1])];
  a.meet(b);
  b.meet(a);
  return [a, b];
}
