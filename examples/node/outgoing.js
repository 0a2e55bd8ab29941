/** What one endpoint sends: messages in, numbered frames out, within credit, and again after a break. */

const messageCost = 16; // of each message, or part of one, beside its data
export const initialCredit = 65_536; // what each direction may cost before the first grant
// The smallest window has 65,536 bytes, and half of it is always granted: so large a part never waits for ever.
const partBytes = 16_384;

export const costOf = ({ data }) => data.length + messageCost;

export class Outgoing {
  credit = initialCredit;
  /** The bytes that were written and not yet put into a frame. */
  queuedBytes = 0;
  /** The messages that are known to have reached the peer. */
  delivered = 0;
  /** The number of the frame with the fin, once there is one. */
  fin = 0;
  /** The number of the newest frame. */
  sequence = 0;
  acked = 0;
  finishing = false;
  /** The highest number that the present leg has carried. */
  #handed = 0;
  #sentCost = 0;
  #queue = [];
  /** Frames from the number after `acked` on. */
  #kept = [];

  write(data, text) {
    this.queuedBytes += data.length;
    let start = 0;
    for (; data.length - start > partBytes; start += partBytes) {
      this.#queue.push({ data: data.subarray(start, start + partBytes), text, more: true });
    }
    this.#queue.push({ data: data.subarray(start), text, more: false });
  }

  /** The next frame for the leg: one that it has not carried yet, or a new one. */
  take(maxFrameBytes) {
    if (this.#handed < this.sequence) return this.#kept[this.#handed++ - this.acked];
    const messages = [];
    let room = Math.min(maxFrameBytes, this.credit - this.#sentCost);
    while (this.#queue.length > 0 && costOf(this.#queue[0]) <= room) {
      const message = this.#queue.shift();
      messages.push(message);
      room -= costOf(message);
      this.#sentCost += costOf(message);
      this.queuedBytes -= message.data.length;
    }
    const fin = this.finishing && this.#queue.length === 0 && this.fin === 0;
    if (messages.length === 0 && !fin) return undefined;
    this.#handed = ++this.sequence;
    if (fin) this.fin = this.sequence;
    const frame = { sequence: this.sequence, messages, fin };
    this.#kept.push(frame);
    return frame;
  }

  /** Drops the kept frames up to a number. Returns false if it was never sent. */
  acknowledge(sequence) {
    if (sequence > this.sequence) return false;
    while (this.acked < sequence) {
      this.delivered += this.#kept.shift().messages.filter(({ more }) => !more).length;
      this.acked++;
    }
    this.#handed = Math.max(this.#handed, this.acked);
    return true;
  }

  /** Another leg carries all that was not acknowledged. */
  rewind() {
    this.#handed = this.acked;
  }

  get done() {
    return this.fin > 0 && this.acked === this.fin;
  }
}
