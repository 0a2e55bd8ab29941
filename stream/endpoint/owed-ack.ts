/** Frames are acknowledged in batches of at most this many, because the peer keeps them until then. */
const maxUnackedFrames = 16;

/**
 * The ack that an endpoint owes its peer. An ack is due after 16 frames, after half a window of bytes, and when it was
 * asked for; until then it goes along with any frame that is sent anyway.
 *
 * - `sequence`: the highest number that the peer may hear of.
 * - `receivedBytes`: the cost of all messages received since the stream began.
 */
export class OwedAck {
  readonly #maxUnackedBytes: number;
  #toldSequence = 0;
  #toldBytes = 0;
  #askedSequence = 0;

  /** `windowBytes`: the receiver's window. */
  constructor(windowBytes: number) {
    this.#maxUnackedBytes = windowBytes / 2;
  }

  /** Whether the peer has not heard of all that may be acknowledged. */
  isOwed(sequence: number): boolean {
    return sequence > this.#toldSequence;
  }

  /** Whether the ack is worth a frame of its own now. */
  isDue(sequence: number, receivedBytes: number): boolean {
    if (!this.isOwed(sequence)) return false;
    const unackedFrames = sequence - this.#toldSequence;
    const unackedBytes = receivedBytes - this.#toldBytes;
    const isAsked = this.#askedSequence > this.#toldSequence;
    return isAsked || unackedFrames >= maxUnackedFrames || unackedBytes >= this.#maxUnackedBytes;
  }

  /** Makes the ack due up to this number. */
  ask(sequence: number): void {
    this.#askedSequence = sequence;
  }

  /** Returns the ack that a frame tells the peer. */
  tell(sequence: number, receivedBytes: number): number {
    this.#toldSequence = sequence;
    this.#toldBytes = receivedBytes;
    return sequence;
  }
}
