import type { StreamError } from "../../stream/error/stream-error.js";
import { Condition } from "../../stream/platform/deferred.js";
import type { Stream } from "../../stream/stream.js";
import type { OfferStream } from "./offer-stream.js";

/** The clients of a server without a callback, for loops over the server. The relay bounds how many can wait. */
export class StreamQueue<Out, In> {
  readonly #waiting = new Set<OfferStream<Out, In>>();
  readonly #changed = new Condition();
  readonly #onLeave: () => Promise<void>;
  readonly #iterators = new Set<object>();
  #state: { kind: "open" } | { kind: "closed"; error: StreamError | undefined } = { kind: "open" };

  constructor(onLeave: () => Promise<void>) {
    this.#onLeave = onLeave;
  }

  /** True while a loop takes the streams, which then learns of the server's end. */
  get isIterated(): boolean {
    return this.#iterators.size > 0;
  }

  push(offered: OfferStream<Out, In>): void {
    this.#waiting.add(offered);
    this.#changed.notify();
  }

  /** The offer waits no more. */
  remove(offered: OfferStream<Out, In>): void {
    this.#waiting.delete(offered);
  }

  close(error: StreamError | undefined): void {
    this.#state = { kind: "closed", error };
    this.#changed.notify();
  }

  /** A stream that was handed out and neither used nor rejected is accepted when the next one is asked for. */
  iterate(): AsyncIterableIterator<Stream<Out, In>, undefined> {
    let last: OfferStream<Out, In> | undefined;
    const iterator: AsyncIterableIterator<Stream<Out, In>, undefined> = {
      next: async () => {
        last?.accept();
        last = await this.#take();
        return last === undefined ? { done: true, value: undefined } : { done: false, value: last.stream };
      },
      return: async () => {
        this.#iterators.delete(iterator);
        last?.accept();
        await this.#onLeave();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    this.#iterators.add(iterator);
    return iterator;
  }

  async #take(): Promise<OfferStream<Out, In> | undefined> {
    for (;;) {
      const [offered] = this.#waiting;
      if (offered !== undefined) {
        this.#waiting.delete(offered);
        return offered;
      }
      if (this.#state.kind === "closed") {
        if (this.#state.error !== undefined) throw this.#state.error;
        return undefined;
      }
      await this.#changed.changed();
    }
  }
}
