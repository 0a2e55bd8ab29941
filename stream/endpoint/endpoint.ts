import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { errorOfReset, resetOf } from "../error/reset.js";
import { StreamError } from "../error/stream-error.js";
import { transferredAwayError } from "./bytes.js";
import { type Capabilities, defaultMaxMessageBytes } from "./capabilities.js";
import type { Frame } from "./frame.js";
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

/** The change: there is a frame to take, a message to read, one was read, room to write, or another state. */
export type EndpointEvent = "ackOwed" | "sendable" | "readable" | "read" | "writable" | "state";

export interface EndpointOptions {
  /** The largest message taken from the peer, in bytes. Default 16 MiB. */
  maxMessageBytes?: number | undefined;
  /**
   * Messages may wait unread up to so many bytes; then the peer is stopped. Default 2 MiB; less than 64 KiB is 64 KiB.
   */
  windowBytes?: number | undefined;
  /** `write` returns false above so many bytes that wait to be sent. Default 256 KiB. */
  highWaterMarkBytes?: number | undefined;
  /** Messages may wait to be sent up to so many bytes; more fails the stream. Default 64 MiB. */
  maxBufferedBytes?: number | undefined;
  /**
   * The moment at which the peer's fin is acknowledged, after which its `closed` and `writable.close()` resolve:
   * "received", or "read", when the reader here has asked for more after the last message, but no later than half of
   * the relay's linger timeout. Default "received". With "read", a peer that has finished still hears of a reader that
   * fails.
   */
  acknowledgeEnd?: "received" | "read" | undefined;
}

const minWindowBytes = 65_536;
/** Frames without a grant of their own are acknowledged in batches of this many. */
const ackEveryFrames = 16;

/**
 * The end-to-end half of the stream protocol on either side: order, credit, acks, half-close, reset. A pure state
 * machine: frames and messages in and out, no clock, no socket. `notify` is called after a change and may call back in.
 */
export class Endpoint {
  readonly #notify: (event: EndpointEvent) => void;
  readonly #receiver: Receiver;
  readonly #sender = new Sender();
  readonly #highWaterMarkBytes: number;
  readonly #maxBufferedBytes: number;
  #state: EndpointState = { kind: "open", sending: "open", receiving: "open" };
  #peer: Capabilities = { credit: true, ack: true, maxMessageBytes: defaultMaxMessageBytes };
  #maxFrameBytes = 65_536;
  #ackedSequence = 0;
  /** Whether the ack of the peer's fin waits for the reader. */
  #finAck: "free" | "held";

  /** The capabilities of this endpoint, for `Open`. */
  readonly capabilities: Capabilities;

  constructor(options: EndpointOptions, notify: (event: EndpointEvent) => void) {
    this.#notify = notify;
    this.#highWaterMarkBytes = options.highWaterMarkBytes ?? 262_144;
    this.#maxBufferedBytes = options.maxBufferedBytes ?? 67_108_864;
    const maxMessageBytes = options.maxMessageBytes ?? defaultMaxMessageBytes;
    this.capabilities = { credit: true, ack: true, maxMessageBytes };
    this.#finAck = options.acknowledgeEnd === "read" ? "held" : "free";
    const windowBytes = Math.max(options.windowBytes ?? 2_097_152, minWindowBytes);
    this.#receiver = new Receiver(windowBytes, maxMessageBytes);
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
    this.#notify("sendable");
    this.#settle();
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
      this.reset(
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

  /** Ends the stream in both directions at once and tells the peer. */
  reset(error: StreamError): void {
    if (this.#state.kind !== "open") return;
    this.#end({ kind: "resetting", error });
    this.#notify("sendable");
  }

  /** Ends the stream without telling the peer: the way to it is gone, or the relay has said why the stream ended. */
  fail(error: StreamError): void {
    if (this.#state.kind === "resetting") this.#set({ kind: "failed", error: this.#state.error });
    if (this.#state.kind === "open") this.#end({ kind: "failed", error });
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

  /** Takes a frame from the peer. A frame after the end is ignored. */
  receive(frame: Frame): void {
    if (this.#state.kind !== "open") return;
    if (frame.reset !== undefined) {
      return this.#end({ kind: "failed", error: errorOfReset(frame.reset, Hop.PEER) });
    }
    if (frame.ack > 0 && !this.#sender.acknowledge(frame.ack)) {
      return this.#violation(Failure.PROTOCOL_VIOLATION, `an ack for frame ${frame.ack}, which was never sent`);
    }
    if (frame.credit > 0) {
      this.#sender.grant(frame.credit);
      this.#notify("sendable");
    }
    const failure = this.#receiveData(frame);
    if (failure !== undefined) return this.#violation(failure, `frame ${frame.sequence} broke the protocol`);
    if (this.#ackDue || this.#receiver.isGrantDue) this.#notify("sendable");
    this.#settle();
  }

  #receiveData(frame: Frame): Failure | undefined {
    if (this.#state.kind !== "open") return undefined;
    const hasData = frame.messages.length > 0 || frame.fin;
    if (frame.sequence === 0) return hasData ? Failure.PROTOCOL_VIOLATION : undefined;
    if (!hasData) return Failure.PROTOCOL_VIOLATION;
    const step = this.#receiver.advance(frame.sequence);
    if (step === "gap") return Failure.SEQUENCE_GAP;
    if (step === "seen") return undefined;
    if (this.#state.receiving === "finished") return Failure.PROTOCOL_VIOLATION;
    for (const part of frame.messages) {
      const failure = this.#receiver.accept(part, this.#peer.credit);
      if (failure !== undefined) return failure;
    }
    if (frame.fin) {
      if (this.#receiver.midMessage) return Failure.PROTOCOL_VIOLATION;
      this.#set({ ...this.#state, receiving: "finished" });
    }
    this.#notify("readable");
    return undefined;
  }

  /** The next frame for the leg, if there is something to say now. */
  takeFrame(): Frame | undefined {
    const state = this.#state;
    if (state.kind === "resetting") {
      this.#set({ kind: "failed", error: state.error });
      return { sequence: 0, ack: 0, credit: 0, messages: [], fin: false, reset: resetOf(state.error) };
    }
    if (state.kind !== "open") return undefined;
    const wasPressed = this.pressed;
    const messages = this.#sender.takeParts(this.#maxFrameBytes);
    if (messages === undefined) {
      this.reset(transferredAwayError());
      return this.takeFrame();
    }
    const fin = state.sending === "finishing" && this.#sender.empty;
    const grants = this.#peer.credit && this.#receiver.isGrantDue;
    const carriesData = messages.length > 0 || fin;
    if (!carriesData && !grants && !this.#ackDue) return undefined;
    const sequence = carriesData ? this.#sender.nextSequence() : 0;
    const frame: Frame = { sequence, ack: 0, credit: 0, messages, fin, reset: undefined };
    if (this.#peer.ack && this.#ackedSequence < this.#ackableSequence) {
      this.#ackedSequence = this.#ackableSequence;
      frame.ack = this.#ackedSequence;
    }
    if (grants) frame.credit = this.#receiver.grant();
    if (fin) this.#set({ ...state, sending: "finished" });
    if (wasPressed && !this.pressed) this.#notify("writable");
    this.#settle();
    return frame;
  }

  /** An ack is owed at once for a fin, and otherwise once enough frames have come. */
  get #ackDue(): boolean {
    if (!this.#peer.ack || this.#state.kind !== "open") return false;
    const owed = this.#ackableSequence - this.#ackedSequence;
    return owed > 0 && (owed >= ackEveryFrames || this.#state.receiving === "finished");
  }

  /**
   * The highest sequence that the peer may hear of. The fin is in the last frame, whose ack says that the fin has come.
   */
  get #ackableSequence(): number {
    return this.#receiver.sequence - (this.holdsEnd ? 1 : 0);
  }

  detach(): void {}
  resume(_n: number): void {}
  get receivedSequence(): number {
    return this.#ackableSequence;
  }
  acknowledge(): void {}

  #settle(): void {
    if (this.#state.kind !== "open") return;
    if (this.#state.sending === "finished" && (this.#sender.allAcked || !this.#peer.ack)) {
      this.#set({ ...this.#state, sending: "acked" });
    }
    const { sending, receiving } = this.#state;
    if (sending === "acked" && receiving === "finished" && !this.#ackDue && !this.holdsEnd) {
      this.#set({ kind: "closed" });
    }
  }

  #violation(failure: Failure, message: string): void {
    this.reset(new StreamError(message, { failure, hop: Hop.PEER }));
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
