import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Reset } from "../../gen/streamserver/v1/frame_pb.js";
import { errorOfReset, resetOf } from "../error/reset.js";
import { type Delivery, StreamError } from "../error/stream-error.js";
import { transferredAwayError } from "./bytes.js";
import { type Capabilities, defaultMaxMessageBytes } from "./capabilities.js";
import type { EndpointInit } from "./endpoint-options.js";
import type { Frame } from "./frame.js";
import { OwedAck } from "./owed-ack.js";
import { Receiver } from "./receiver.js";
import { type EncodedMessage, type ReceivedMessage, Sender } from "./sender.js";

/**
 * The life of an endpoint.
 *
 * `open` → `closed`, when both directions are finished and the peer has acknowledged it;
 * `open` → `resetting` → `failed`, when this side ends it: the reset is taken by the leg in between;
 * `open` → `failed`, when the peer, the relay or a lost connection ends it.
 */
export type EndpointState =
  | { kind: "open"; sending: "open" | "finishing" | "finished" | "acked"; receiving: "open" | "finished" }
  | { kind: "resetting"; error: StreamError }
  | { kind: "closed" }
  | { kind: "failed"; error: StreamError };

/**
 * The change: there is a frame to take, a message to read, one was read, room to write, or another state.
 *
 * "ackOwed": a frame has come whose ack is not due yet. The driver of the leg, which has the clock, sees to it that
 * `acknowledge` is called in time, once for each "ackOwed".
 */
export type EndpointEvent = "sendable" | "readable" | "read" | "writable" | "state" | "ackOwed";

const minWindowBytes = 65_536;
/** Messages that wait to be read before their sender is stopped. */
export const defaultWindowBytes = 2_097_152;

/**
 * The leg of an endpoint. "resumed" is one whose first frame tells the ack and the credit again, because the frame that
 * told them before may be lost. While "detached" no frame but a reset is taken.
 */
type LegState = "attached" | "resumed" | "detached";

/**
 * The end-to-end half of the stream protocol on either side: order, credit, acks, half-close, reset, resume. A pure
 * state machine: frames and messages in and out, no clock, no socket. `notify` is called after a change and may call
 * back in.
 *
 * It outlives its legs. Frames that a leg has carried are kept until the peer acknowledges them, if both sides resume.
 * What is kept is bounded by the credit that the peer has granted.
 */
export class Endpoint {
  readonly #notify: (event: EndpointEvent) => void;
  readonly #receiver: Receiver;
  readonly #owedAck: OwedAck;
  readonly #sender: Sender;
  readonly #highWaterMarkBytes: number;
  readonly #maxBufferedBytes: number;
  #state: EndpointState = { kind: "open", sending: "open", receiving: "open" };
  #leg: LegState = "attached";
  #peer: Capabilities = { credit: true, ack: true, resume: true, maxMessageBytes: defaultMaxMessageBytes };
  #maxFrameBytes = 65_536;
  /** Whether the ack of the peer's fin waits for the reader. */
  #finAck: "free" | "held";

  /** The capabilities of this endpoint, for `Open`. */
  readonly capabilities: Capabilities;

  constructor(options: EndpointInit, notify: (event: EndpointEvent) => void) {
    this.#notify = notify;
    this.#highWaterMarkBytes = options.highWaterMarkBytes ?? 262_144;
    this.#maxBufferedBytes = options.maxBufferedBytes ?? 67_108_864;
    const maxMessageBytes = options.maxMessageBytes ?? defaultMaxMessageBytes;
    this.capabilities = { credit: true, ack: true, resume: options.resume ?? false, maxMessageBytes };
    this.#finAck = options.acknowledgeEnd === "read" ? "held" : "free";
    const windowBytes = Math.max(options.windowBytes ?? defaultWindowBytes, minWindowBytes);
    this.#receiver = new Receiver(windowBytes, maxMessageBytes);
    this.#owedAck = new OwedAck(windowBytes);
    this.#sender = new Sender(this.capabilities.resume ? "all" : "none", this.#maxBufferedBytes);
  }

  get state(): EndpointState {
    return this.#state;
  }

  /** Sets the largest frame that the relay allows. */
  setMaxFrameBytes(maxFrameBytes: number): void {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Sets the capabilities of the peer. Until then those of this package are assumed. */
  setPeer(peer: Capabilities): void {
    this.#peer = peer;
    if (!peer.credit) this.#sender.grant(Number.POSITIVE_INFINITY);
    // Frames of a leg before may be lost, and are kept until `resume` says so.
    if (!this.isResumable && this.#leg !== "detached") this.#sender.stopKeeping();
    this.#notify("sendable");
    this.#settle();
  }

  /**
   * Whether both sides can go on over another leg. Before the peer is known it is taken for one that can, so that
   * frames which it has not received are not lost meanwhile.
   */
  get isResumable(): boolean {
    return this.capabilities.resume && this.#peer.resume && this.#peer.ack && this.#peer.credit;
  }

  /** The highest number that the peer may hear of as received, for `Resume`. */
  get receivedSequence(): number {
    return this.#ackableSequence;
  }

  /**
   * The messages that are known to have reached the peer, and whether no other can have. It is also on the error with
   * which the endpoint fails, unless the application gave that error.
   */
  get delivery(): Delivery {
    return { messages: this.#sender.ackedMessages, isFinal: this.#sender.allAcked };
  }

  /** Whether no frame but a reset is taken until `resume`. */
  get isDetached(): boolean {
    return this.#leg === "detached";
  }

  /** One of the two legs is gone: no frame but a reset is taken until `resume`. */
  detach(): void {
    this.#leg = "detached";
  }

  /**
   * Drops frames that leave a gap, until the frame that is expected has come. For an endpoint that has another leg than
   * before, on which frames may come that were on their way to the old one.
   */
  expectGap(): void {
    this.#receiver.expectGap();
  }

  /**
   * Both sides have a leg again, whichever of them had lost its own. Kept frames that come after
   * `peerReceivedSequence` are taken again, in order and with their numbers, and then new ones. A number that was never
   * sent ends the stream with FAILURE_PROTOCOL_VIOLATION, and so does a resume of a stream that is not resumable,
   * unless it was detached: a peer without the feature may accept a client that has attached again before.
   */
  resume(peerReceivedSequence: number): void {
    const wasDetached = this.isDetached;
    this.#leg = "resumed";
    if (!this.isResumable && !wasDetached) {
      return this.#violation(Failure.PROTOCOL_VIOLATION, "resumed, which one side cannot");
    }
    if (!this.#sender.rewind(peerReceivedSequence)) return this.#neverSent(peerReceivedSequence);
    if (!this.isResumable) this.#sender.stopKeeping();
    this.#notify("sendable");
    this.#settle();
  }

  /** Grows with each frame that is received, and with each one that the peer has acknowledged. */
  get progress(): number {
    return this.#receiver.sequence + this.#sender.ackedSequence;
  }

  /** The cost of the messages in the frames that are kept until the peer acknowledges them. */
  get keptBytes(): number {
    return this.#sender.keptBytes;
  }

  /** The cost of the messages that were written and not yet handed to the leg, in bytes. */
  get bufferedBytes(): number {
    return this.#sender.bufferedBytes;
  }

  get pressed(): boolean {
    return this.#sender.bufferedBytes > this.#highWaterMarkBytes;
  }

  /** Whether the leg may hand in another frame: always for a peer that obeys credit. */
  get hasRoom(): boolean {
    return this.#peer.credit || this.#receiver.hasRoom || this.#state.kind !== "open";
  }

  /**
   * Queues a message; false when the caller should wait for "writable". Throws if the message is larger than the peer
   * takes, or if this direction was finished. Nothing happens if the stream is over: "state" has said so.
   */
  write(message: EncodedMessage): boolean {
    const state = this.#state;
    if (state.kind !== "open") return false;
    if (state.sending !== "open") {
      throw new StreamError("write after end", { failure: Failure.PROTOCOL_VIOLATION });
    }
    const { byteLength } = message.data;
    if (byteLength > this.#peer.maxMessageBytes) {
      throw new StreamError(
        `a message of ${byteLength} bytes is larger than the ${this.#peer.maxMessageBytes} that the peer takes`,
        { failure: Failure.MESSAGE_TOO_LARGE, hop: Hop.CALLER },
      );
    }
    this.#sender.push(message);
    if (this.#sender.bufferedBytes > this.#maxBufferedBytes) {
      this.#fault(
        new StreamError(
          `more than ${this.#maxBufferedBytes} bytes written and not sent: wait for "drain" when write() says false`,
          { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER },
        ),
      );
      return false;
    }
    this.#notify("sendable");
    return !this.pressed;
  }

  /** Finishes this direction, after what was written. A second call does nothing. */
  finish(): void {
    if (this.#state.kind !== "open" || this.#state.sending !== "open") return;
    this.#set({ ...this.#state, sending: "finishing" });
    this.#notify("sendable");
  }

  /**
   * Ends the stream in both directions at once and tells the peer. The error stays as it is, unless it has the account
   * of another stream.
   */
  reset(error: StreamError): void {
    if (this.#state.kind !== "open") return;
    this.#end({ kind: "resetting", error: error.delivery === undefined ? error : error.withDelivery(this.delivery) });
    this.#notify("sendable");
  }

  /**
   * Ends the stream without telling the peer: the way to it is gone, or the relay has said why the stream ended. A
   * stream of which only the peer's last ack was missing is closed instead, if the relay tells that ack.
   */
  fail(error: StreamError): void {
    if (this.#state.kind === "resetting") this.#set({ kind: "failed", error: this.#state.error });
    if (error.receivedSequence !== undefined && this.#sender.acknowledge(error.receivedSequence)) this.#conclude();
    if (this.#state.kind === "open") this.#end({ kind: "failed", error: error.withDelivery(this.delivery) });
  }

  /** The relay told the last ack, and was told that of this side when the endpoint attached. */
  #conclude(): void {
    this.#tellAck();
    this.#settle();
  }

  /** The next whole message, if there is one. */
  read(): ReceivedMessage | undefined {
    const message = this.#receiver.read();
    if (message === undefined) {
      if (this.drained) this.acknowledgeEnd();
      return undefined;
    }
    this.#notify("read");
    if (this.#receiver.isGrantDue) this.#notify("sendable");
    return message;
  }

  /** Whether there is nothing left to read, now and later: every message was read, or dropped by a failure. */
  get drained(): boolean {
    return this.#receiver.empty && (this.#state.kind !== "open" || this.#state.receiving === "finished");
  }

  /** Whether the peer's fin has come and its ack waits for the reader. */
  get holdsEnd(): boolean {
    return this.#finAck === "held" && this.#state.kind === "open" && this.#state.receiving === "finished";
  }

  /** Acknowledges the peer's fin without waiting for the reader. Does nothing before it has come. */
  acknowledgeEnd(): void {
    if (!this.holdsEnd) return;
    this.#finAck = "free";
    this.#notify("sendable");
    this.#settle();
  }

  /** Acknowledges what has come, in a frame of its own if no other frame is on its way. */
  acknowledge(): void {
    if (!this.#isAckOwed) return;
    this.#owedAck.ask(this.#ackableSequence);
    this.#notify("sendable");
  }

  /** Takes a frame from the peer. A frame after the end is ignored. */
  receive(frame: Frame): void {
    if (this.#state.kind !== "open") return;
    if (frame.reset !== undefined) return this.#receiveReset(frame.ack, frame.reset);
    const wasFull = this.#sender.isFull;
    if (frame.ack > 0 && !this.#sender.acknowledge(frame.ack)) return this.#neverSent(frame.ack);
    if (frame.credit > 0) this.#sender.grant(frame.credit);
    if (frame.credit > 0 || wasFull) this.#notify("sendable");
    const wasAckOwed = this.#isAckOwed;
    const failure = this.#receiveData(frame);
    if (failure !== undefined) return this.#violation(failure, `frame ${frame.sequence} broke the protocol`);
    if (this.#isAckDue || this.#receiver.isGrantDue) this.#notify("sendable");
    else if (this.#isAckOwed && !wasAckOwed) this.#notify("ackOwed");
    this.#settle();
  }

  /** The peer takes nothing after its reset, whose ack is its last. */
  #receiveReset(ack: number, reset: Reset): void {
    if (ack > 0) this.#sender.conclude(ack);
    this.#end({ kind: "failed", error: errorOfReset(reset, Hop.PEER).withDelivery(this.delivery) });
  }

  #receiveData(frame: Frame): Failure | undefined {
    if (this.#state.kind !== "open") return undefined;
    const hasData = frame.messages.length > 0 || frame.fin;
    if (frame.sequence === 0) return hasData ? Failure.PROTOCOL_VIOLATION : undefined;
    if (!hasData) return Failure.PROTOCOL_VIOLATION;
    const verdict = this.#receiver.judge(frame.sequence);
    if (verdict === "refuse") return Failure.SEQUENCE_GAP;
    if (verdict === "drop") return undefined;
    if (this.#state.receiving === "finished") return Failure.PROTOCOL_VIOLATION;
    for (const part of frame.messages) {
      const failure = this.#receiver.accept(part, this.#peer.credit);
      if (failure !== undefined) return failure;
    }
    if (frame.fin) {
      if (this.#receiver.midMessage) return Failure.PROTOCOL_VIOLATION;
      this.#receiver.advance();
      this.#set({ ...this.#state, receiving: "finished" });
    } else this.#receiver.advance();
    this.#notify("readable");
    return undefined;
  }

  /** The next frame for the leg, if there is something to say now. */
  takeFrame(): Frame | undefined {
    const state = this.#state;
    // A reset waits for nobody: the relay keeps it for a peer without a leg.
    if (state.kind === "resetting") {
      this.#set({ kind: "failed", error: state.error });
      return { ...frameWithoutData(), ack: this.#peer.ack ? this.#tellAck() : 0, reset: resetOf(state.error) };
    }
    if (this.#leg === "detached") return undefined;
    if (state.kind === "closed" && this.#leg === "resumed") {
      this.#leg = "attached";
      return { ...this.#finAgain(), ack: this.#tellAck() };
    }
    if (state.kind !== "open") return undefined;
    const wasPressed = this.pressed;
    const taken = this.#sender.takeFrame(this.#maxFrameBytes, state.sending === "finishing");
    if (taken === "transferred away") {
      this.#fault(transferredAwayError());
      return this.takeFrame();
    }
    const tellsAll = this.#leg === "resumed";
    const grants = this.#peer.credit && (tellsAll || this.#receiver.isGrantDue);
    if (taken === undefined && !grants && !this.#isAckDue) return undefined;
    this.#leg = "attached";
    const frame = taken ?? (tellsAll && state.sending === "acked" ? this.#finAgain() : frameWithoutData());
    if (this.#isAckOwed || (tellsAll && this.#peer.ack)) frame.ack = this.#tellAck();
    if (grants) frame.credit = this.#receiver.grant();
    if (frame.fin && state.sending === "finishing") this.#set({ ...state, sending: "finished" });
    if (wasPressed && !this.pressed) this.#notify("writable");
    this.#settle();
    return frame;
  }

  /** The fin that the peer has. The relay may be another one than before, which has not seen it. */
  #finAgain(): Frame {
    return { ...frameWithoutData(), sequence: this.#sender.sequence, fin: true };
  }

  #tellAck(): number {
    return this.#owedAck.tell(this.#ackableSequence, this.#receiver.receivedBytes);
  }

  get #isAckOwed(): boolean {
    return this.#peer.ack && this.#owedAck.isOwed(this.#ackableSequence);
  }

  /** An ack is due at once for a fin. */
  get #isAckDue(): boolean {
    if (this.#state.kind !== "open" || !this.#isAckOwed) return false;
    const isDue = this.#owedAck.isDue(this.#ackableSequence, this.#receiver.receivedBytes);
    return isDue || this.#state.receiving === "finished";
  }

  /**
   * The highest sequence that the peer may hear of. The fin is in the last frame, whose ack says that the fin has come.
   */
  get #ackableSequence(): number {
    return this.#receiver.sequence - (this.holdsEnd ? 1 : 0);
  }

  #settle(): void {
    if (this.#state.kind !== "open") return;
    if (this.#state.sending === "finished" && (this.#sender.allAcked || !this.#peer.ack)) {
      this.#set({ ...this.#state, sending: "acked" });
    }
    const { sending, receiving } = this.#state;
    if (sending === "acked" && receiving === "finished" && !this.#isAckDue && !this.holdsEnd) {
      this.#set({ kind: "closed" });
    }
  }

  #neverSent(sequence: number): void {
    this.#violation(Failure.PROTOCOL_VIOLATION, `an ack for frame ${sequence}, which was never sent`);
  }

  #violation(failure: Failure, message: string): void {
    this.#fault(new StreamError(message, { failure, hop: Hop.PEER }));
  }

  /** Resets the stream for an error that is not the application's, and that carries the account. */
  #fault(error: StreamError): void {
    this.reset(error.withDelivery(this.delivery));
  }

  /** Every failure drops the messages that wait in either direction, so that nobody has to read before it is told. */
  #end(state: EndpointState): void {
    this.#sender.clear();
    this.#receiver.clear();
    this.#set(state);
    this.#notify("readable");
    this.#notify("writable");
  }

  #set(state: EndpointState): void {
    this.#state = state;
    this.#notify("state");
  }
}

function frameWithoutData(): Frame {
  return { sequence: 0, ack: 0, credit: 0, messages: [], fin: false, reset: undefined };
}
