/** What one endpoint receives: frames in, whole messages out, and the acks and grants that it owes for them. */
import grpc from "@grpc/grpc-js";
import { costOf, initialCredit } from "./outgoing.js";

const maxMessageBytes = 16_777_216; // what Capabilities without a number promises
const maxUnackedFrames = 16;

const { INVALID_ARGUMENT, OUT_OF_RANGE, RESOURCE_EXHAUSTED } = grpc.status;

/** The reset for a rule that the peer broke. */
const reset = (code, failure, reason) => ({ code, failure, reason });
export const violation = (reason) => reset(INVALID_ARGUMENT, "FAILURE_PROTOCOL_VIOLATION", reason);

export class Incoming {
  /** The highest number that has come without a gap. */
  sequence = 0;
  finished = false;
  dropsGaps = false;
  messages = [];
  /** The ack has waited long enough for a frame to go along with. */
  asked = false;
  #window;
  /** The beginning of a message: its parts. */
  #parts = [];
  #granted = initialCredit;
  #cost = 0;
  #unreadCost = 0;
  /** What the newest ack was for. */
  #told = 0;
  #toldCost = 0;

  constructor(windowBytes) {
    this.#window = windowBytes;
  }

  /** Returns the reset for a rule that the peer broke, if it did. */
  take({ sequence, messages, fin }) {
    if ((messages.length > 0 || fin) !== sequence > 0) return violation("a number without data, or data without one");
    if (sequence <= this.sequence) return undefined; // It came before, or has no number.
    if (sequence > this.sequence + 1) {
      if (this.dropsGaps) return undefined;
      return reset(OUT_OF_RANGE, "FAILURE_SEQUENCE_GAP", `frame ${sequence} leaves a gap`);
    }
    if (this.finished) return violation("a frame after the fin");
    for (const message of messages) {
      const broken = this.#takePart(message);
      if (broken) return broken;
    }
    if (fin && this.#parts.length > 0) return violation("a fin between two parts");
    this.sequence = sequence;
    this.dropsGaps = false;
    this.finished = fin;
  }

  #takePart(part) {
    this.#cost += costOf(part);
    if (this.#cost > this.#granted)
      return reset(RESOURCE_EXHAUSTED, "FAILURE_CREDIT_EXCEEDED", "more than was granted");
    this.#parts.push(part);
    const bytes = this.#parts.reduce((sum, { data }) => sum + data.length, 0);
    if (bytes > maxMessageBytes)
      return reset(RESOURCE_EXHAUSTED, "FAILURE_MESSAGE_TOO_LARGE", "the message is too large");
    if (part.more) return undefined;
    const cost = this.#parts.reduce((sum, each) => sum + costOf(each), 0);
    this.messages.push({ data: Buffer.concat(this.#parts.map(({ data }) => data)), text: this.#parts[0].text, cost });
    this.#unreadCost += cost;
    this.#parts = [];
  }

  read() {
    const message = this.messages.shift();
    if (message) this.#unreadCost -= message.cost;
    return message;
  }

  get owesAck() {
    return this.sequence > this.#told;
  }

  /** Whether the ack, or a grant, is worth a frame of its own. */
  get mustSay() {
    const waits = this.sequence - this.#told >= maxUnackedFrames || this.#cost - this.#toldCost >= this.#window / 2;
    return this.#isGrantDue || (this.owesAck && (this.asked || this.finished || waits));
  }

  get #grantable() {
    return this.#cost + this.#window - this.#unreadCost;
  }

  get #isGrantDue() {
    return this.#grantable - this.#granted >= this.#window / 4;
  }

  /** Puts the ack and the grant that are due into a frame, or both `again`, because they may have been lost. */
  say(frame, again) {
    if (this.owesAck || again) {
      frame.ack = this.sequence;
      this.#told = this.sequence;
      this.#toldCost = this.#cost;
      this.asked = false;
    }
    if (this.#isGrantDue || again) {
      this.#granted = Math.max(this.#granted, this.#grantable);
      frame.credit = this.#granted;
    }
  }
}
