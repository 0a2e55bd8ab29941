import { Code, type Stream, StreamError } from "browser-stream-server";
import type { Party } from "../history/step.ts";
import { contentOf, differenceFrom, type MessagePlan, planMessage } from "./message.ts";

export type Outcome = { kind: "pending" } | { kind: "clean" } | { kind: "failed"; error: StreamError };

/** The code with which a history resets a stream: one that no failure of the protocol comes with by itself. */
export const resetCode = Code.DataLoss;

export function resetError(): StreamError {
  return new StreamError("the history resets it", { code: resetCode });
}

/** What a party does with one stream, and what comes of it. */
export class Side {
  readonly party: Party;
  readonly #salt: number;
  readonly written: MessagePlan[] = [];
  /** What was received otherwise than it was written. */
  readonly problems: string[] = [];
  received = 0;
  resumptions = 0;
  isOpened = false;
  hasEnded = false;
  hasReset = false;
  hasPaused = false;
  /** Whether this side was told that its peer has ended. */
  isToldEnd = false;
  outcome: Outcome = { kind: "pending" };
  peer!: Side;
  #isReading = true;
  #stream: Stream | undefined;
  #queued: ((stream: Stream) => void)[] = [];
  #onSettled = () => {};
  /** Resolves when the stream is over here. */
  readonly settled = new Promise<void>((resolve) => {
    this.#onSettled = resolve;
  });

  constructor(party: Party, salt: number) {
    this.party = party;
    this.#salt = salt;
  }

  /** Resolves when the stream is open, or over. Every stream is one of them soon: openings have deadlines. */
  get openedOrOver(): Promise<void> {
    return this.#stream?.opened.catch(() => {}) ?? Promise.resolve();
  }

  /** What the stream says of itself: "suspended", or "open", for example. */
  get state(): string {
    return this.#stream?.state ?? "not there";
  }

  get hasStream(): boolean {
    return this.#stream !== undefined;
  }

  /** Whether it takes what comes, and all that its peer wrote has come. */
  get isUpToDate(): boolean {
    return this.#isReading && this.received === this.peer.written.length;
  }

  /** Takes the stream, reads from it, and does what was to be done before it was there. */
  attach(stream: Stream): void {
    this.#stream = stream;
    stream.on("data", (message) => this.#receive(message));
    stream.on("end", () => this.#onEnd());
    stream.on("error", () => {});
    stream.on("resumed", () => {
      this.resumptions += 1;
    });
    stream.opened.then(
      () => {
        this.isOpened = true;
      },
      () => {},
    );
    stream.closed.then(
      () => this.#settle({ kind: "clean" }),
      (error) => this.#settle({ kind: "failed", error }),
    );
    if (!this.#isReading) stream.pause();
    for (const act of this.#queued.splice(0)) act(stream);
  }

  write(count: number, bytes: number, isText: boolean, onReceived?: () => void): void {
    if (this.hasEnded || this.hasReset) return;
    for (let left = count; left > 0; left -= 1) {
      const plan = planMessage(bytes, isText, this.#salt, this.written.length);
      if (onReceived !== undefined) plan.onReceived = onReceived;
      this.written.push(plan);
      this.#act((stream) => this.#write(stream, plan));
    }
  }

  end(): void {
    if (this.hasEnded || this.hasReset) return;
    this.hasEnded = true;
    this.#act((stream) => void stream.end());
  }

  reset(): void {
    if (this.hasReset) return;
    this.hasReset = true;
    this.#act((stream) => void stream.destroy(resetError()));
  }

  pause(): void {
    this.#isReading = false;
    this.hasPaused = true;
    this.#stream?.pause();
  }

  resume(): void {
    this.#isReading = true;
    this.#stream?.resume();
  }

  /** Ends the stream of a history that has failed. */
  abandon(): void {
    this.#stream?.destroy();
  }

  #act(act: (stream: Stream) => void): void {
    if (this.#stream === undefined) this.#queued.push(act);
    else act(this.#stream);
  }

  #write(stream: Stream, plan: MessagePlan): void {
    stream.write(contentOf(plan));
  }

  #receive(message: string | Uint8Array): void {
    const plan = this.peer.written[this.received];
    const at = `message ${this.received} of the ${this.peer.party}`;
    this.received += 1;
    if (plan === undefined) {
      this.problems.push(`${at} came and was never written`);
      return;
    }
    const difference = differenceFrom(plan, message);
    if (difference !== undefined) this.problems.push(`${at}: ${difference}`);
    plan.onReceived?.();
  }

  #onEnd(): void {
    this.isToldEnd = true;
    const { written, hasEnded } = this.peer;
    if (!hasEnded) this.problems.push(`the ${this.party} was told an end that the peer did not write`);
    if (this.received !== written.length) {
      this.problems.push(`the ${this.party} was told an end after ${this.received} of ${written.length} messages`);
    }
  }

  #settle(outcome: Outcome): void {
    this.outcome = outcome;
    this.#onSettled();
  }
}
