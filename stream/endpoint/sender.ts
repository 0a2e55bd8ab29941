import { Fifo } from "../platform/fifo.js";
import { isDetached } from "./bytes.js";
import type { FrameMessage } from "./frame.js";
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

/** The send half of an endpoint: messages in, numbered parts out, within credit. */
export class Sender {
  readonly #queue = new Fifo<EncodedMessage>();
  readonly #credit = new SendCredit(initialCreditBytes);
  #headSentBytes = 0;
  #bufferedBytes = 0;
  #sequence = 0;
  #ackedSequence = 0;

  /** The cost of the messages, and parts of one, that wait to be sent. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Whether every frame so far has been acknowledged. */
  get allAcked(): boolean {
    return this.#ackedSequence === this.#sequence;
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
    this.#headSentBytes = 0;
    this.#bufferedBytes = 0;
  }

  /** Raises the credit; a lower offset than before changes nothing. */
  grant(creditBytes: number): void {
    this.#credit.grant(creditBytes);
  }

  /** False if `sequence` was never sent. */
  acknowledge(sequence: number): boolean {
    if (sequence > this.#sequence) return false;
    if (sequence > this.#ackedSequence) this.#ackedSequence = sequence;
    return true;
  }

  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  /**
   * Takes the parts that fit into one frame and into the credit. Undefined if the data of a message is gone, because
   * the application has transferred its buffer since it was written.
   */
  takeParts(maxFrameBytes: number): FrameMessage[] | undefined {
    const parts: FrameMessage[] = [];
    let frameRoomBytes = maxFrameBytes;
    for (let head = this.#queue.peek(); head !== undefined; head = this.#queue.peek()) {
      if (head.data.byteLength === 0 && isDetached(head.data.buffer)) return undefined;
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
      if (!more) this.#queue.shift();
    }
    return parts;
  }
}
