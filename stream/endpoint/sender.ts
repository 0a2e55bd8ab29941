import { Fifo } from "../platform/fifo.js";
import { isDetached } from "./bytes.js";
import type { Frame, FrameMessage } from "./frame.js";
import { KeptFrames } from "./kept-frames.js";
import { SendCredit } from "./send-credit.js";

/** The cost of a message beside its data, so that a million empty messages are not free. `Frame.credit`. */
export const messageOverheadBytes = 16;

/** The cost that each direction may carry before the first grant. `Frame.credit`. */
export const initialCreditBytes = 65_536;

/** Parts of a message that is split for lack of credit have at least 1 KiB, because each costs 16 bytes beside. */
export const minPartBytes = 1024;
/**
 * A message of at most a quarter of the window waits for credit instead of being split. The credit comes, because a
 * receiver grants again before so little is left.
 */
const unsplitShare = 1 / 4;

/** A message of the application, encoded. */
export interface EncodedMessage {
  data: Uint8Array;
  text: boolean;
}

/**
 * A message of the peer's application. Its data may share its buffer with other messages: copy it before you transfer
 * it.
 */
export interface ReceivedMessage extends EncodedMessage {
  data: Uint8Array<ArrayBuffer>;
}

/**
 * The send half of an endpoint: messages in, numbered frames out, within credit; and once more the frames that the peer
 * has not acknowledged, when another leg takes over.
 */
export class Sender {
  readonly #queue = new Fifo<EncodedMessage>();
  readonly #credit = new SendCredit(initialCreditBytes);
  readonly #kept = new KeptFrames();
  readonly #maxKeptBytes: number;
  #keeping: "all" | "none";
  #headSentBytes = 0;
  #bufferedBytes = 0;
  #sequence = 0;
  /** The highest number that the present leg was handed, or that the peer has acknowledged. */
  #handedSequence = 0;
  #ackedSequence = 0;
  /** The messages that end in the frames so far. */
  #framedMessages = 0;
  #ackedMessages = 0;

  /**
   * - `keeping`: whether the frames are kept until they are acknowledged.
   * - `maxKeptBytes`: the cost of the frames kept for a peer that grants credit and does not acknowledge. More are not
   *   made until it does. A peer that acknowledges is held to its own window before that.
   */
  constructor(keeping: "all" | "none", maxKeptBytes: number) {
    this.#keeping = keeping;
    this.#maxKeptBytes = maxKeptBytes;
  }

  /** The cost of the messages, and parts of one, that wait to be sent. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** The cost of the messages in the frames that are kept until they are acknowledged. */
  get keptBytes(): number {
    return this.#kept.costBytes;
  }

  /** Whether the next frame waits for an ack. */
  get isFull(): boolean {
    return this.#kept.costBytes >= this.#maxKeptBytes;
  }

  /** The number of the newest frame. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The highest number that the peer has acknowledged. */
  get ackedSequence(): number {
    return this.#ackedSequence;
  }

  /** Whether every frame so far has been acknowledged. */
  get allAcked(): boolean {
    return this.#ackedSequence === this.#sequence;
  }

  /** The messages that are known to have reached the peer, at least. */
  get ackedMessages(): number {
    return this.#ackedMessages;
  }

  get empty(): boolean {
    return this.#queue.length === 0;
  }

  push(message: EncodedMessage): void {
    this.#queue.push(message);
    this.#bufferedBytes += message.data.byteLength + messageOverheadBytes;
  }

  clear(): void {
    this.#queue.clear();
    this.#kept.clear();
    this.#headSentBytes = 0;
    this.#bufferedBytes = 0;
  }

  /** Raises the credit; a lower offset than before changes nothing. */
  grant(creditBytes: number): void {
    this.#credit.grant(creditBytes);
  }

  /** Keeps no frame from now on, apart from those that the present leg has still to carry. */
  stopKeeping(): void {
    this.#keeping = "none";
    this.#kept.release(this.#handedSequence);
  }

  /** False if `sequence` was never sent. */
  acknowledge(sequence: number): boolean {
    if (sequence > this.#sequence) return false;
    if (sequence <= this.#ackedSequence) return true;
    this.#ackedSequence = sequence;
    this.#handedSequence = Math.max(this.#handedSequence, sequence);
    const messages = this.#kept.release(sequence);
    if (this.#keeping === "all") this.#ackedMessages += messages;
    // Without kept frames the messages in some of them are not known, but those in all of them are.
    if (this.allAcked) this.#ackedMessages = this.#framedMessages;
    return true;
  }

  /** Acknowledges for the last time: the peer takes nothing after `sequence`. Ignores a number that was never sent. */
  conclude(sequence: number): void {
    if (this.acknowledge(sequence) && this.#keeping === "all") this.#sequence = this.#ackedSequence;
  }

  /** Goes back to the frame after `sequence`, which another leg carries next. False if `sequence` was never sent. */
  rewind(sequence: number): boolean {
    if (!this.acknowledge(sequence)) return false;
    this.#handedSequence = this.#ackedSequence;
    return true;
  }

  /**
   * The next frame for the leg, without ack and credit: one that the leg before has carried, or a new one with the
   * messages that fit into it and into the credit. The last new one has a fin if `finishes`. Undefined if there is
   * nothing to send. "transferred away" if the data of a message is gone, because the application has transferred its
   * buffer since it was written.
   */
  takeFrame(maxFrameBytes: number, finishes: boolean): Frame | "transferred away" | undefined {
    if (this.#handedSequence < this.#sequence) return this.#takeAgain();
    if (this.isFull) return undefined;
    const sentBytes = this.#credit.sentBytes;
    const messages = this.#takeParts(maxFrameBytes);
    if (messages === undefined) return "transferred away";
    const fin = finishes && this.empty;
    if (messages.length === 0 && !fin) return undefined;
    this.#sequence += 1;
    this.#handedSequence = this.#sequence;
    const frame: Frame = { sequence: this.#sequence, ack: 0, credit: 0, messages, fin, reset: undefined };
    if (this.#keeping === "all") this.#kept.keep(frame, this.#credit.sentBytes - sentBytes);
    return frame;
  }

  #takeAgain(): Frame | "transferred away" | undefined {
    const kept = this.#kept.get(this.#handedSequence + 1);
    if (kept === undefined) return undefined;
    if (kept.messages.some(({ data }) => isTransferredAway(data))) return "transferred away";
    this.#handedSequence = kept.sequence;
    if (this.#keeping === "none") this.#kept.release(kept.sequence);
    return { ...kept, ack: 0, credit: 0 };
  }

  /** Takes the parts that fit into one frame and into the credit. Undefined if the data of a message is gone. */
  #takeParts(maxFrameBytes: number): FrameMessage[] | undefined {
    const parts: FrameMessage[] = [];
    let frameRoomBytes = maxFrameBytes;
    for (let head = this.#queue.peek(); head !== undefined; head = this.#queue.peek()) {
      if (isTransferredAway(head.data)) return undefined;
      const restCost = head.data.byteLength - this.#headSentBytes + messageOverheadBytes;
      const creditRoomBytes = this.#credit.roomBytes;
      // A receiver has to put together what was split, so what fits into a frame of its own waits for one.
      if (restCost > frameRoomBytes && restCost <= Math.min(maxFrameBytes, creditRoomBytes)) break;
      if (restCost > creditRoomBytes && restCost <= this.#credit.windowBytes * unsplitShare) break;
      const roomBytes = Math.min(frameRoomBytes, creditRoomBytes);
      if (restCost > roomBytes && roomBytes < minPartBytes + messageOverheadBytes) break;
      const cost = Math.min(restCost, roomBytes);
      const partBytes = cost - messageOverheadBytes;
      const from = this.#headSentBytes;
      const more = from + partBytes < head.data.byteLength;
      const isWhole = from === 0 && !more;
      parts.push({ data: isWhole ? head.data : head.data.subarray(from, from + partBytes), text: head.text, more });
      this.#credit.send(cost);
      frameRoomBytes -= cost;
      this.#bufferedBytes -= more ? partBytes : cost;
      this.#headSentBytes = more ? from + partBytes : 0;
      if (more) continue;
      this.#framedMessages += 1;
      this.#queue.shift();
    }
    return parts;
  }
}

function isTransferredAway({ byteLength, buffer }: Uint8Array): boolean {
  return byteLength === 0 && isDetached(buffer);
}
