import { Code, ConnectError } from "@connectrpc/connect";
import type { Clock } from "../../../stream/platform/clock.js";

/** A body has a second more for each 1,000 bytes: a batch of a link, 512 KiB, comes on the slowest networks in use. */
const minBytesPerSecond = 1_000;

export interface TimedBodyInit {
  clock: Clock;
  /** The time that a body has however small it is. */
  timeoutMs: number;
  /** Called once when the body takes too long. */
  onLate(): void;
}

type TimedBodyState =
  | { kind: "unread" }
  | { kind: "reading"; sinceMs: number; bytes: number; cancelDeadline: () => void; fail: (error: Error) => void }
  | { kind: "over"; error: Error | undefined };

/**
 * The body of a request, which has to come in time: reading it fails with `deadline_exceeded` otherwise. The time
 * begins with the first read.
 */
export class TimedBody implements AsyncIterableIterator<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #init: TimedBodyInit;
  #state: TimedBodyState = { kind: "unread" };

  constructor(body: AsyncIterable<Uint8Array>, init: TimedBodyInit) {
    this.#source = body[Symbol.asyncIterator]();
    this.#init = init;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#state.kind === "over" && this.#state.error !== undefined) return Promise.reject(this.#state.error);
    return new Promise((resolve, reject) => {
      this.#begin(reject);
      this.#source.next().then(
        (result) => {
          if (result.done) this.#set({ kind: "over", error: undefined });
          else if (this.#state.kind === "reading") this.#state.bytes += result.value.byteLength;
          resolve(result);
        },
        (error) => {
          this.#set({ kind: "over", error: undefined });
          reject(error);
        },
      );
    });
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#set({ kind: "over", error: undefined });
    return (await this.#source.return?.()) ?? { done: true, value: undefined };
  }

  #begin(fail: (error: Error) => void): void {
    if (this.#state.kind === "reading") this.#state.fail = fail;
    if (this.#state.kind !== "unread") return;
    const { clock, timeoutMs } = this.#init;
    const cancelDeadline = clock.after(timeoutMs, () => this.#look(), false);
    this.#set({ kind: "reading", sinceMs: clock.now(), bytes: 0, cancelDeadline, fail });
  }

  /** The deadline moves on with what has come. */
  #look(): void {
    if (this.#state.kind !== "reading") return;
    const { clock, timeoutMs, onLate } = this.#init;
    const { sinceMs, bytes, fail } = this.#state;
    const leftMs = sinceMs + timeoutMs + (bytes / minBytesPerSecond) * 1_000 - clock.now();
    if (leftMs > 0) {
      this.#set({ ...this.#state, cancelDeadline: clock.after(leftMs, () => this.#look(), false) });
      return;
    }
    const error = new ConnectError("the body of the request takes too long", Code.DeadlineExceeded);
    this.#set({ kind: "over", error });
    onLate();
    fail(error);
  }

  #set(state: TimedBodyState): void {
    if (this.#state.kind === "reading") this.#state.cancelDeadline();
    this.#state = state;
  }
}
