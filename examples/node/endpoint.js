/**
 * One endpoint of a stream that outlives its legs: "Resuming" in docs/protocol.md, without clock and network.
 */
import grpc from "@grpc/grpc-js";
import { Incoming, violation } from "./incoming.js";
import { Outgoing } from "./outgoing.js";

export const capabilities = { features: ["FEATURE_CREDIT", "FEATURE_ACK", "FEATURE_RESUME"] };

const { UNAVAILABLE } = grpc.status;
/** Codes that somebody on the way gives on purpose. No broken connection has one of them. */
const statedCodes = new Set([
  grpc.status.INVALID_ARGUMENT,
  grpc.status.NOT_FOUND,
  grpc.status.ALREADY_EXISTS,
  grpc.status.PERMISSION_DENIED,
  grpc.status.FAILED_PRECONDITION,
  grpc.status.OUT_OF_RANGE,
  grpc.status.UNAUTHENTICATED,
]);

/** Whether to try again after a call that ended with an error. `failure` is that of its FailureDetail. */
export function isBreak(code, failure, wasOpened) {
  if (failure === undefined) return !statedCodes.has(code);
  return failure === "FAILURE_DRAINING" || (failure === "FAILURE_LIMIT_REACHED" && !wasOpened);
}

/** How long the relay keeps a stream for an endpoint without a leg: 0 if it does not. */
export const graceMsOf = ({ features, grace_ms }) => (features.includes("FEATURE_RESUME") ? grace_ms : 0);

/** Why a stream failed. `delivered` messages have reached the peer, and no others if `final`. */
export class StreamError extends Error {
  constructor({ code, failure, reason, delivered, final }) {
    super(`${reason} (${delivered} messages have arrived, ${final ? "no more" : "perhaps more"})`);
    Object.assign(this, { code, failure, reason, delivered, final });
  }
}

export class Endpoint {
  /** "attaching" until the first leg is opened, then "attached", "suspended", and "closed" or "failed". */
  state = "attaching";
  error;
  outgoing = new Outgoing();
  incoming;
  /** Of the present leg. */
  wasOpened = false;
  graceMs;
  generation = -1;
  /** The reset that no leg has carried yet. */
  unsaidReset;
  #open;
  #peer;
  #maxFrameBytes = 0;
  /** Whether the present leg may carry frames. */
  #isReady = false;
  #saysAgain = false;

  /**
   * `open` has a client's name, or the stream_id and the leg_token of an offer. With the offer a listener knows the
   * capabilities of its `peer` and, from `Registered`, the relay's grace period.
   */
  constructor(open, { peer, graceMs = 0, windowBytes = 1_048_576 } = {}) {
    this.#open = open;
    this.#peer = peer;
    this.graceMs = graceMs;
    this.incoming = new Incoming(windowBytes);
  }

  get isOver() {
    return this.state === "closed" || this.state === "failed";
  }

  get #isResumable() {
    return this.graceMs > 0 && (this.#peer?.features.includes("FEATURE_RESUME") ?? true);
  }

  /** The first message of the next leg. */
  nextOpen() {
    this.generation++;
    this.wasOpened = false;
    this.#isReady = false;
    const resume = { received_sequence: this.incoming.sequence, generation: this.generation };
    return { ...this.#open, capabilities, ...(this.generation > 0 && { resume }) };
  }

  /** The request of Reject that ends the stream without a leg. */
  rejectRequest({ code, reason, failure }) {
    const { stream_id, leg_token } = this.#open;
    return { stream_id, leg_token, code, reason, failure, received_sequence: this.incoming.sequence };
  }

  /** Takes what comes on the newest leg. */
  receive({ opened, accepted, suspended, resumed, frame }) {
    if (opened) this.#opened(opened);
    if (accepted) {
      this.#peer = accepted.capabilities ?? { features: [] };
      const { stream_id, leg_token } = this.#open;
      this.#open = { stream_id, leg_token };
    }
    if (suspended) {
      this.#isReady = false;
      this.#set("suspended");
    }
    if (resumed) {
      this.outgoing.acknowledge(resumed.received_sequence);
      this.outgoing.rewind();
      this.#isReady = true;
      this.#saysAgain = true;
      this.#set("attached");
      this.#settle();
    }
    if (frame && !this.isOver) this.#receiveFrame(frame);
  }

  #opened({ stream_id, leg_token, limits }) {
    this.wasOpened = true;
    this.#open = { ...this.#open, stream_id, leg_token };
    this.graceMs = graceMsOf(limits);
    this.#maxFrameBytes = limits.max_frame_bytes;
    if (this.generation > 0) this.incoming.dropsGaps = true;
    else {
      this.#isReady = true;
      this.#set("attached");
    }
  }

  #receiveFrame(frame) {
    const isKnown = this.outgoing.acknowledge(frame.ack);
    if (frame.reset) return this.#fail(frame.reset, frame.ack > 0);
    this.outgoing.credit = Math.max(this.outgoing.credit, frame.credit);
    const broken = isKnown ? this.incoming.take(frame) : violation("an ack for what was never sent");
    if (broken) this.reset(broken);
    this.#settle();
  }

  /** Ends the stream: `take` gives the frame that says so, if there is a leg. */
  reset(reset) {
    if (this.isOver) return;
    this.unsaidReset = reset;
    this.#fail(reset);
  }

  /** The next frame for the leg, if there is something to say. */
  take() {
    if (this.unsaidReset && this.wasOpened) {
      const frame = { reset: this.unsaidReset, ack: this.incoming.sequence };
      this.unsaidReset = undefined;
      return frame;
    }
    if (!this.#isReady || this.state === "failed") return undefined;
    const taken = this.outgoing.take(this.#maxFrameBytes);
    if (!taken && !this.#saysAgain && !this.incoming.mustSay) return undefined;
    const frame = { ...taken };
    // A fin that was acked is said again, for a relay that has not seen it.
    if (!taken && this.#saysAgain && this.outgoing.done)
      Object.assign(frame, { sequence: this.outgoing.fin, fin: true });
    this.incoming.say(frame, this.#saysAgain);
    this.#saysAgain = false;
    this.#settle();
    return frame;
  }

  /** Whether an ack is owed and waits for a frame to go along with. */
  get ackWaits() {
    return this.#isReady && this.incoming.owesAck;
  }

  /** Whether the request of the present leg can end. */
  get saidAll() {
    if (this.state === "closed") return this.#isReady && !this.#saysAgain;
    return this.state === "failed" && !this.unsaidReset;
  }

  /** The relay has ended the call without an error, which is no good end before both fins. */
  completeLeg() {
    if (!this.isOver) this.loseLeg("the relay has ended the call too early");
  }

  /** The leg ended without a last word. A client that was never answered has no stream yet. */
  loseLeg(reason = "the connection to the relay is lost") {
    this.wasOpened = false;
    this.#isReady = false;
    if (this.#isResumable && this.#open.stream_id) this.#set("suspended");
    else this.#fail({ code: UNAVAILABLE, failure: "FAILURE_LEG_LOST", reason });
  }

  /** The call of the newest leg ended with an error. `detail` is its FailureDetail, if it has one. */
  refuseLeg(code, reason, detail) {
    const breaks = isBreak(code, detail?.failure, this.wasOpened);
    if (breaks && (this.#isResumable || !detail)) return this.loseLeg(reason);
    this.wasOpened = false;
    this.#isReady = false;
    if (detail) this.outgoing.acknowledge(detail.received_sequence);
    if (this.outgoing.done && this.incoming.finished) this.#set("closed"); // Only the last ack was missing.
    this.#fail({ code, failure: detail?.failure ?? "FAILURE_UNSPECIFIED", reason });
  }

  /** The grace period is over. */
  giveUp() {
    this.#fail({ code: UNAVAILABLE, failure: "FAILURE_LEG_LOST", reason: "the relay cannot be reached" });
  }

  #fail({ code, failure = "FAILURE_UNSPECIFIED", reason }, isFinal = false) {
    if (this.isOver) return;
    const { delivered, acked, sequence } = this.outgoing;
    this.error = new StreamError({ code, failure, reason, delivered, final: isFinal || acked === sequence });
    this.state = "failed";
  }

  #settle() {
    if (this.outgoing.done && this.incoming.finished && !this.incoming.owesAck) this.#set("closed");
  }

  #set(state) {
    if (!this.isOver) this.state = state;
  }
}
