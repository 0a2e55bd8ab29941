import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import type { Capabilities } from "../../../gen/streamserver/v1/relay_pb.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Clock } from "../../../stream/platform/clock.js";
import { type Caller, isInProcess } from "../../admission/caller.js";
import { exceededLimit } from "../../admission/limits.js";
import type { LegPort, Resumption } from "./leg-port.js";
import type { RelayedFrame } from "./relayed-frame.js";
import { SentFrames } from "./sent-frames.js";

/** One of the two sides of a stream. */
export type Role = "client" | "listener";

/**
 * The leg of a half is gone: it was lost without a last word, or it failed because its endpoint broke a rule or left.
 */
export interface LegEnd {
  kind: "lost" | "failed";
  error: StreamError;
}

/** The last word of an endpoint. It is unknown if the endpoint may have said it to another process. */
export type LastWord = "nothing" | "unknown" | "fin" | "reset";

/**
 * Of so many frames of an endpoint, the first one is timed. Reading the clock for each costs more than passing it on.
 */
export const framesPerSample = 64;

export type HalfChange = "attached" | "frame" | "request ended" | "reset taken" | "over" | LegEnd;

type HalfState =
  /** The endpoint has no leg yet. */
  | { kind: "waiting" }
  /** The endpoint has a leg. If it is full, it cannot be sent another frame before `drained`. */
  | {
      kind: "attached";
      port: LegPort;
      sinceMs: number;
      room: "free" | "full";
      /** Undefined for the first leg of the endpoint. */
      resumption: Resumption | undefined;
      /** The endpoint sends nothing before it hears that its peer has a leg as well. */
      awaits: "nothing" | "resumed";
      /** Whether the endpoint has still to hear that its peer has gone or come back. */
      news: "told" | "due";
    }
  /** The leg was lost, and the relay waits for the endpoint to come back. */
  | { kind: "detached"; untilMs: number; cancelDeadline: () => void }
  /** The stream is over, and the endpoint hears of it when it comes back. */
  | { kind: "owed"; error: StreamError | undefined; reset: RelayedFrame | undefined; cancelDeadline: () => void }
  | { kind: "over"; error: StreamError | undefined };

export interface HalfInit {
  clock: Clock;
  /** A frame of the half's endpoint costs at most so much. */
  maxFrameBytes: number;
  /** The relay waits this long for an endpoint to come back. */
  graceMs: number;
  onChange: (change: HalfChange) => void;
  /** Called with the time that a frame took to reach the carrier of the peer's leg, for one of many frames. */
  onSample: (latencyMs: number) => void;
}

/**
 * One side of a splice, with or without a leg. It holds at most one frame on its way to the other side, so an endpoint
 * whose peer is slow, or has no leg, is held back by its own transport.
 */
export class Half {
  peer!: Half;
  readonly #init: HalfInit;
  #state: HalfState = { kind: "waiting" };
  #said: LastWord = "nothing";
  /** The reset with which this half's endpoint has ended the stream. */
  #reset: RelayedFrame | undefined;
  #request: "open" | "ended" = "open";
  /** The number of the endpoint's newest attachment. The first one has no number, which counts as 0. */
  #generation = 0;
  #receivedSequence = 0;
  /** A frame of this half's endpoint that the peer cannot be sent yet. */
  #slot: RelayedFrame | undefined;
  /** When the frame in the slot came, if it is timed. */
  #slotSinceMs: number | undefined;
  /** The frames of this half's endpoint. */
  readonly sent = new SentFrames();

  constructor(init: HalfInit) {
    this.#init = init;
  }

  /** The half of a stream that is over, for an endpoint that has still to hear of a reset, or of an error. */
  static owing(end: RelayedFrame | StreamError, clock: Clock): Half {
    const half = new Half({ clock, maxFrameBytes: 0, graceMs: 0, onChange: () => {}, onSample: () => {} });
    const how = end instanceof StreamError ? { error: end, reset: undefined } : { error: undefined, reset: end };
    half.#state = { kind: "owed", ...how, cancelDeadline: () => {} };
    return half;
  }

  get kind(): HalfState["kind"] {
    return this.#state.kind;
  }

  /** The last word of this half's endpoint. */
  get said(): LastWord {
    return this.#said;
  }

  /** The reset of this half's endpoint. */
  get reset(): RelayedFrame | undefined {
    return this.#reset;
  }

  /** The error with which the stream is over for this half's endpoint; undefined if it is not over, or well. */
  get error(): StreamError | undefined {
    return this.#state.kind === "over" ? this.#state.error : undefined;
  }

  get requestEnded(): boolean {
    return this.#request === "ended";
  }

  /** The highest number of the peer's frames that this half's endpoint is known to have. */
  get receivedSequence(): number {
    return this.#receivedSequence;
  }

  /** The bytes of this half's endpoint that the relay has taken, with their envelopes. */
  get bytes(): number {
    return this.sent.bytes;
  }

  /** How this half's endpoint attached again; undefined for its first leg, and without a leg. */
  get resumption(): Resumption | undefined {
    return this.#state.kind === "attached" ? this.#state.resumption : undefined;
  }

  /** Whether this half's endpoint sends nothing before it hears that its peer has a leg. */
  get awaitsResumed(): boolean {
    return this.#state.kind === "attached" && this.#state.awaits === "resumed";
  }

  /** Whether this half's endpoint is in the relay's process. */
  get isLocal(): boolean {
    return this.#state.kind === "attached" && isInProcess(this.#state.port.caller);
  }

  /** The caller that opened the leg of this half's endpoint, and the time; undefined without a leg. */
  get leg(): { caller: Caller; sinceMs: number } | undefined {
    if (this.#state.kind !== "attached") return undefined;
    return { caller: this.#state.port.caller, sinceMs: this.#state.sinceMs };
  }

  /** Whether a frame of this half's endpoint waits for its peer, or for room on the peer's leg. */
  get isHeldBack(): boolean {
    return this.#slot !== undefined;
  }

  /** The bytes of a frame of this half's endpoint that waits. */
  get heldBytes(): number {
    return this.#slot?.envelope.byteLength ?? 0;
  }

  /** Throws FAILURE_FENCED for an attachment that is not newer than the newest one. */
  checkGeneration(generation: number): void {
    if (generation > this.#generation) return;
    throw fencedError(`attachment ${generation} is not newer than attachment ${this.#generation}`);
  }

  /**
   * This half's endpoint has a leg, its first one or a newer one. An older leg ends with FAILURE_FENCED. An endpoint
   * whose stream is over hears how it ended.
   */
  attach(port: LegPort, resumption?: Resumption): void {
    const state = this.#state;
    if (resumption !== undefined) {
      this.#generation = resumption.generation;
      this.#receivedSequence = Math.max(this.#receivedSequence, resumption.receivedSequence);
    }
    if (state.kind === "over") return port.finish(state.error);
    if (state.kind === "owed") {
      this.#set({ kind: "over", error: state.error });
      if (state.reset !== undefined) port.sendFrame(state.reset);
      port.finish(state.error);
      return this.#init.onChange("over");
    }
    const awaits = resumption === undefined ? "nothing" : "resumed";
    this.#request = "open";
    // The endpoint sends what comes after the peer's last number again.
    if (resumption !== undefined && this.#slot?.reset === false) this.#slot = undefined;
    const sinceMs = this.#init.clock.now();
    this.#set({ kind: "attached", port, sinceMs, room: "free", resumption, awaits, news: "told" });
    if (state.kind === "attached") state.port.finish(fencedError("a newer attachment has taken the place of this one"));
    this.#init.onChange("attached");
    this.#takeSlot();
  }

  /** This half's endpoint has no leg, and the relay waits for it to come back until the grace period is over. */
  detach(): void {
    const { clock, graceMs } = this.#init;
    const state = this.#state;
    const cancelDeadline = clock.after(graceMs, () => this.#onGraceOver());
    this.#request = "open";
    // The time that an endpoint is away is not the relay's.
    this.peer.#slotSinceMs = undefined;
    this.#set({ kind: "detached", untilMs: clock.now() + graceMs, cancelDeadline });
    if (state.kind === "attached") state.port.finish(brokenError());
  }

  /** This half's endpoint can be sent frames again. */
  drained(): void {
    if (this.#state.kind !== "attached" || this.#state.room === "free") return;
    this.#set({ ...this.#state, room: "free" });
    if (this.#state.news === "due") this.tellOfPeer();
    this.#takeSlot();
  }

  announceAccepted(capabilities: Capabilities | undefined): void {
    if (this.#state.kind === "attached") this.#state.port.sendAccepted(capabilities);
  }

  announceDraining(graceMs: number): void {
    if (this.#state.kind === "attached") this.#state.port.sendDraining(graceMs);
  }

  /**
   * Tells this half's endpoint whether its peer has a leg. An endpoint that does not read hears the newest state alone,
   * once it reads again, so that a peer that comes and goes fills no memory.
   */
  tellOfPeer(): void {
    const state = this.#state;
    if (state.kind !== "attached") return;
    if (state.room === "full") return this.#set({ ...state, news: "due" });
    const isThere = this.peer.kind !== "detached";
    const hasRoom = isThere
      ? state.port.sendResumed(this.peer.#receivedSequence)
      : state.port.sendSuspended(this.peer.graceLeftMs);
    const awaits = isThere ? "nothing" : state.awaits;
    if (this.#state === state) this.#set({ ...state, awaits, news: "told", room: hasRoom ? "free" : "full" });
  }

  /**
   * Hands a frame from this half's endpoint to the peer. Returns false if the next one has to wait for `LegPort.goOn`.
   * A frame after a reset, or after the end of the stream, is dropped. A frame that is too large fails the half.
   */
  put(frame: RelayedFrame): boolean {
    if (frame.costBytes > this.#init.maxFrameBytes) {
      this.fail(frameTooLargeError(frame, this.#init.maxFrameBytes));
      return true;
    }
    if (this.#said === "reset" || this.#state.kind === "over") return true;
    if (this.#slot !== undefined) throw new RangeError("a frame waits already");
    if (frame.ack > this.#receivedSequence) this.#receivedSequence = frame.ack;
    if (frame.reset) this.#sayReset(frame);
    else if (frame.fin) this.#said = "fin";
    // An endpoint that sends data has no fin behind it, or sends that again as well.
    else if (this.#said === "unknown" && frame.costBytes > 0) this.#said = "nothing";
    const sinceMs = this.#count(frame);
    const isTaken = this.peer.#send(frame);
    if (!isTaken) {
      this.#slot = frame;
      this.#slotSinceMs = sinceMs;
    } else if (sinceMs !== undefined) this.#tellLatency(sinceMs);
    this.#init.onChange("frame");
    return isTaken;
  }

  /** Counts a frame. Returns the time for one that is timed: of many, and only while the peer has a leg. */
  #count(frame: RelayedFrame): number | undefined {
    const isTimed = this.sent.frames % framesPerSample === 0 && this.peer.kind === "attached";
    this.sent.count(frame, this.peer.sent);
    return isTimed ? this.#init.clock.now() : undefined;
  }

  #tellLatency(sinceMs: number): void {
    this.#init.onSample(this.#init.clock.now() - sinceMs);
  }

  /** This half's endpoint has ended the stream with a reset, which takes the place of a frame that waits. */
  putReset(reset: RelayedFrame): void {
    this.#sayReset(reset);
    this.#slot = reset;
  }

  #sayReset(reset: RelayedFrame): void {
    this.#said = "reset";
    this.#reset = reset;
  }

  /** This half's endpoint has ended its request, which it may do once it has sent its last word. */
  endRequest(): void {
    this.#request = "ended";
    // An endpoint that can resume ends its request when it has sent fin, and it has had the peer's.
    if (this.#said === "unknown") this.#said = "fin";
    if (this.#said !== "nothing") return this.#init.onChange("request ended");
    this.lose(new StreamError("the request ended before fin", { failure: Failure.PROTOCOL_VIOLATION }));
  }

  /** This half's endpoint may have sent frames, and said its last word, to another process. */
  forgetLastWord(): void {
    this.#said = "unknown";
    this.sent.isWhole = false;
  }

  /** This half's endpoint has said and heard all, and needs no other leg. A frame for it is dropped. */
  leave(): void {
    const state = this.#state;
    this.#set({ kind: "over", error: undefined });
    if (state.kind === "attached") state.port.finish(undefined);
    if (this.peer.#emptySlot() !== undefined) this.peer.#goOn();
  }

  /** The call of the leg ended without a last word. If the stream can be resumed, the endpoint may come back. */
  lose(error: StreamError): void {
    this.#init.onChange({ kind: "lost", error });
  }

  /** The leg failed for good: its endpoint left, or broke a rule. */
  fail(error: StreamError): void {
    this.#init.onChange({ kind: "failed", error });
  }

  /**
   * The stream is over. A frame that waits for this half's endpoint is sent before, whether there is room or not. An
   * endpoint without a leg is owed its end until its grace period is over, and a reset, but no other frame.
   */
  end(error: StreamError | undefined): void {
    const state = this.#state;
    if (state.kind === "over" || state.kind === "owed") return;
    const frame = this.peer.#emptySlot();
    if (state.kind === "detached") {
      const cancelDeadline = this.#init.clock.after(this.graceLeftMs, () => this.abandon());
      this.#set({ kind: "owed", error, reset: frame?.reset ? frame : undefined, cancelDeadline });
      return;
    }
    this.#set({ kind: "over", error });
    if (state.kind !== "attached") return;
    if (frame !== undefined) state.port.sendFrame(frame);
    state.port.finish(error);
  }

  /** Waits no more for an endpoint that is owed its end. */
  abandon(): void {
    if (this.#state.kind !== "owed") return;
    this.#set({ kind: "over", error: this.#state.error });
    this.#init.onChange("over");
  }

  /** Waits no more for an endpoint that has no leg, because it does not come back. */
  giveUp(error: StreamError): void {
    if (this.#state.kind !== "detached") return;
    this.#set({ kind: "over", error });
    this.fail(error);
  }

  #onGraceOver(): void {
    const { graceMs } = this.#init;
    const error = new StreamError(`the endpoint did not come back within ${graceMs} ms`, {
      failure: Failure.LEG_LOST,
      hop: Hop.CALLER,
    });
    this.giveUp(error);
  }

  /**
   * The time that the relay still waits for an endpoint whose leg was lost: a whole number, as it goes out on the wire.
   */
  get graceLeftMs(): number {
    if (this.#state.kind !== "detached") return 0;
    return Math.max(0, Math.ceil(this.#state.untilMs - this.#init.clock.now()));
  }

  /** Sends a frame to this half's endpoint, and returns false if it cannot be sent yet. */
  #send(frame: RelayedFrame): boolean {
    const state = this.#state;
    if (state.kind !== "attached" || state.room === "full") return state.kind === "over";
    const hasRoom = state.port.sendFrame(frame);
    if (!hasRoom && this.#state === state) this.#set({ ...state, room: "full" });
    if (frame.reset) this.#init.onChange("reset taken");
    return true;
  }

  #takeSlot(): void {
    const state = this.#state;
    if (state.kind !== "attached" || state.room === "full") return;
    const sinceMs = this.peer.#slotSinceMs;
    const frame = this.peer.#emptySlot();
    if (frame === undefined) return;
    this.#send(frame);
    if (sinceMs !== undefined) this.peer.#tellLatency(sinceMs);
    this.peer.#goOn();
  }

  #emptySlot(): RelayedFrame | undefined {
    const frame = this.#slot;
    this.#slot = undefined;
    this.#slotSinceMs = undefined;
    return frame;
  }

  #goOn(): void {
    if (this.#state.kind === "attached") this.#state.port.goOn();
  }

  #set(state: HalfState): void {
    if ("cancelDeadline" in this.#state) this.#state.cancelDeadline();
    this.#state = state;
  }
}

function fencedError(message: string): StreamError {
  return new StreamError(message, { failure: Failure.FENCED });
}

/** The end of a leg whose call goes on, but without a request. Its endpoint attaches again, as after any lost leg. */
function brokenError(): StreamError {
  return new StreamError("the request ended before the stream, which can be resumed", {
    failure: Failure.LEG_LOST,
    hop: Hop.RELAY,
  });
}

function frameTooLargeError({ costBytes }: RelayedFrame, maxFrameBytes: number): StreamError {
  return new StreamError(`a frame of ${costBytes} bytes is larger than ${maxFrameBytes}`, {
    failure: Failure.FRAME_TOO_LARGE,
    limit: exceededLimit("maxFrameBytes", maxFrameBytes),
  });
}
