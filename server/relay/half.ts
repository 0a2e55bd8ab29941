import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import type { Capabilities } from "../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { RelayedFrame } from "./relayed-frame.js";

/** The way to the endpoint of a leg, called in the order in which the endpoint is to hear of things. */
export interface LegPort {
  /** The listener has accepted, and is capable of this. */
  sendAccepted(capabilities: Capabilities | undefined): void;
  /** Sends a frame. Returns false if the next one has to wait until `Half.drained` is called. */
  sendFrame(frame: RelayedFrame): boolean;
  /** `Half.put` takes frames again, if it returned false before. */
  goOn(): void;
  /** The leg is over, well or with an error. Nothing follows, and the leg calls its half no more. */
  finish(error: StreamError | undefined): void;
}

export type HalfChange = "frame" | "request ended" | "reset taken" | StreamError;

type HalfState =
  /** The endpoint has no leg yet. */
  | { kind: "waiting" }
  /** The endpoint has a leg. If it is full, it cannot be sent another frame before `drained`. */
  | { kind: "attached"; port: LegPort; room: "free" | "full" }
  | { kind: "over"; error: StreamError | undefined };

/**
 * One side of a splice, with or without a leg. It holds at most one frame on its way to the other side, so an endpoint
 * whose peer is slow is held back by its own transport.
 */
export class Half {
  peer!: Half;
  readonly #maxFrameBytes: number;
  readonly #onChange: (change: HalfChange) => void;
  #state: HalfState = { kind: "waiting" };
  #said: "nothing" | "fin" | "reset" = "nothing";
  #request: "open" | "ended" = "open";
  /** A frame of this half's endpoint that the peer cannot be sent yet. */
  #slot: RelayedFrame | undefined;

  /** A frame of this half's endpoint costs at most `maxFrameBytes`. */
  constructor(maxFrameBytes: number, onChange: (change: HalfChange) => void) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#onChange = onChange;
  }

  /** The last word of this half's endpoint. */
  get said(): "nothing" | "fin" | "reset" {
    return this.#said;
  }

  get requestEnded(): boolean {
    return this.#request === "ended";
  }

  /** This half's endpoint is there, and can be sent frames. */
  attach(port: LegPort): void {
    if (this.#state.kind === "over") return port.finish(this.#state.error);
    this.#set({ kind: "attached", port, room: "free" });
    this.#takeSlot();
  }

  /** This half's endpoint can be sent frames again. */
  drained(): void {
    if (this.#state.kind !== "attached" || this.#state.room === "free") return;
    this.#set({ ...this.#state, room: "free" });
    this.#takeSlot();
  }

  announceAccepted(capabilities: Capabilities | undefined): void {
    if (this.#state.kind === "attached") this.#state.port.sendAccepted(capabilities);
  }

  /**
   * Hands a frame from this half's endpoint to the peer. Returns false if the next one has to wait for `LegPort.goOn`.
   * A frame after a reset, or after the end of the stream, is dropped. A frame that is too large fails the half.
   */
  put(frame: RelayedFrame): boolean {
    if (frame.costBytes > this.#maxFrameBytes) {
      this.fail(frameTooLargeError(frame, this.#maxFrameBytes));
      return true;
    }
    if (this.#said === "reset" || this.#state.kind === "over") return true;
    if (this.#slot !== undefined) throw new RangeError("a frame waits already");
    if (frame.reset) this.#said = "reset";
    else if (frame.fin) this.#said = "fin";
    const isTaken = this.peer.#send(frame);
    if (!isTaken) this.#slot = frame;
    this.#onChange("frame");
    return isTaken;
  }

  /** This half's endpoint has ended its request, which it may do once it has sent its last word. */
  endRequest(): void {
    this.#request = "ended";
    if (this.#said !== "nothing") return this.#onChange("request ended");
    this.fail(new StreamError("the request ended before fin", { failure: Failure.PROTOCOL_VIOLATION }));
  }

  /** The leg failed: its endpoint cancelled, vanished, or broke a rule. */
  fail(error: StreamError): void {
    this.#onChange(error);
  }

  /** The stream is over. A frame that waits for this half's endpoint is sent before, whether there is room or not. */
  end(error: StreamError | undefined): void {
    const state = this.#state;
    if (state.kind === "over") return;
    this.#set({ kind: "over", error });
    if (state.kind !== "attached") return;
    const frame = this.peer.#emptySlot();
    if (frame !== undefined) state.port.sendFrame(frame);
    state.port.finish(error);
  }

  /** Sends a frame to this half's endpoint, and returns false if it cannot be sent yet. */
  #send(frame: RelayedFrame): boolean {
    const state = this.#state;
    if (state.kind !== "attached" || state.room === "full") return false;
    const hasRoom = state.port.sendFrame(frame);
    if (!hasRoom && this.#state === state) this.#set({ ...state, room: "full" });
    if (frame.reset) this.#onChange("reset taken");
    return true;
  }

  #takeSlot(): void {
    const frame = this.peer.#emptySlot();
    if (frame === undefined) return;
    this.#send(frame);
    this.peer.#goOn();
  }

  #emptySlot(): RelayedFrame | undefined {
    const frame = this.#slot;
    this.#slot = undefined;
    return frame;
  }

  #goOn(): void {
    if (this.#state.kind === "attached") this.#state.port.goOn();
  }

  #set(state: HalfState): void {
    this.#state = state;
  }
}

function frameTooLargeError({ costBytes }: RelayedFrame, maxFrameBytes: number): StreamError {
  return new StreamError(`a frame of ${costBytes} bytes is larger than ${maxFrameBytes}`, {
    failure: Failure.FRAME_TOO_LARGE,
  });
}
