import type { Socket } from "node:net";

/** How bytes travel: after a delay, and at most so many a second; or not at all for now. */
export type Passage = { kind: "open"; delayMs: number; bytesPerSecond: number } | { kind: "held" };

export const openPassage: Passage = { kind: "open", delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY };

/** The bytes that a flow holds before it stops reading, as the buffers of a network do. */
const maxHeldBytes = 262_144;

interface Held {
  /** Undefined for the end of the bytes. */
  chunk: Buffer | undefined;
  dueMs: number;
}

/** The bytes of one direction of a connection, on their way from one socket to the other. */
export class Flow {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #passage: () => Passage;
  #held: Held[] = [];
  #heldBytes = 0;
  /** When the bytes that went last have left a narrow network. */
  #freeMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(from: Socket, to: Socket, passage: () => Passage) {
    this.#from = from;
    this.#to = to;
    this.#passage = passage;
    from.on("data", (chunk: Buffer) => this.#take(chunk)).on("end", () => this.#take(undefined));
    to.on("drain", () => this.pump());
  }

  /** Passes nothing on any more. Later bytes are read and dropped if `reads`, and left in the socket otherwise. */
  stop(reads: boolean): void {
    this.#isStopped = true;
    this.#held = [];
    clearTimeout(this.#timer);
    if (reads) this.#from.resume();
    else this.#from.pause();
  }

  /** Passes on all that is due. To be called when the passage changes. */
  pump(): void {
    clearTimeout(this.#timer);
    while (!this.#isStopped) {
      const [first] = this.#held;
      if (first === undefined) break;
      const passage = this.#passage();
      if (passage.kind === "held" || this.#to.writableNeedDrain) return;
      const waitMs = Math.max(first.dueMs, this.#freeMs) - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), Math.ceil(waitMs));
        return;
      }
      this.#held.shift();
      this.#pass(first.chunk, passage.bytesPerSecond);
    }
  }

  #take(chunk: Buffer | undefined): void {
    if (this.#isStopped) return;
    const passage = this.#passage();
    const delayMs = passage.kind === "open" ? passage.delayMs : 0;
    this.#held.push({ chunk, dueMs: delayMs === 0 ? 0 : performance.now() + delayMs });
    this.#heldBytes += chunk?.length ?? 0;
    if (this.#heldBytes > maxHeldBytes) this.#from.pause();
    this.pump();
  }

  #pass(chunk: Buffer | undefined, bytesPerSecond: number): void {
    if (chunk === undefined) {
      this.#to.end();
      return;
    }
    this.#heldBytes -= chunk.length;
    if (this.#heldBytes <= maxHeldBytes) this.#from.resume();
    this.#freeMs = performance.now() + (chunk.length / bytesPerSecond) * 1_000;
    this.#to.write(chunk);
  }
}
