import { Code } from "@connectrpc/connect";
import { type Codec, decodeMessage } from "./codec.js";
import type { Endpoint } from "./endpoint/endpoint.js";
import type { ReceivedMessage } from "./endpoint/sender.js";
import { StreamError } from "./error/stream-error.js";
import { Fifo } from "./platform/fifo.js";

export interface ReadingHandlers<Out> {
  onData(message: Out): void;
  /** The reader knows that no message will come any more. Called once. */
  onDrained(): void;
  /** Called instead of `onDrained` for a refused message of a stream that is over, whose end does not tell of it. */
  onUnreadable(error: StreamError): void;
}

type Decoded<Out> = { ok: true; value: Out } | { ok: false; told: boolean; error: StreamError };

/** A call of `pull` that waits for its message. */
interface Pull<Out> {
  resolve(result: IteratorResult<Out, undefined>): void;
  reject(error: StreamError): void;
}

/**
 * Hands an endpoint's messages to their reader: to a handler, as they come ("flowing"), or one by one to a reader that
 * asks ("pulling"). The first way used is the only one.
 */
export class Reading<Out> {
  readonly #endpoint: Endpoint;
  readonly #codec: Codec<Out, never>;
  readonly #handlers: ReadingHandlers<Out>;
  readonly #pulls = new Fifo<Pull<Out>>();
  #mode: "unclaimed" | "flowing" | "paused" | "pulling" | "drained" = "unclaimed";
  #flow: "idle" | "scheduled" | "delivering" = "idle";
  #answering: "now" | "not now" = "not now";
  /** The reader that pulls: a second one would get every other message. */
  #reader: object | undefined;

  constructor(endpoint: Endpoint, codec: Codec<Out, never>, handlers: ReadingHandlers<Out>) {
    this.#endpoint = endpoint;
    this.#codec = codec;
    this.#handlers = handlers;
  }

  /** The reader that pulls, or did: the object that it gave to `pull`. */
  get reader(): object | undefined {
    return this.#reader;
  }

  /** Whether a reader pulls, and so learns by pulling that the stream failed. */
  get isPulling(): boolean {
    return this.#mode === "pulling";
  }

  /** Whether the reader of a stream that was finished has still to read what comes before "close". */
  get holdsBackClose(): boolean {
    if (this.#endpoint.state.kind !== "closed") return false;
    if (this.#mode === "pulling") return true;
    return (this.#mode === "flowing" || this.#mode === "paused") && !this.#endpoint.drained;
  }

  /** Nobody will read any more. */
  abandon(): void {
    this.#mode = "drained";
  }

  /** The endpoint changed. An error that a handler throws is the handler's, and not the endpoint's. */
  notify(): void {
    this.#answerPulls();
    if (this.#flow === "idle") {
      try {
        this.#deliver();
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    if (this.#endpoint.drained) this.#schedule();
  }

  flow(): void {
    if (this.#mode === "pulling") throw claimedError();
    if (this.#mode === "drained") return;
    this.#mode = "flowing";
    this.#schedule();
  }

  pause(): void {
    if (this.#mode === "pulling") throw claimedError();
    if (this.#mode !== "drained") this.#mode = "paused";
  }

  /**
   * Resolves with the next message, with `done` after the last one, and rejects if the stream failed. Throws
   * `failed_precondition` if the messages are read in another way.
   */
  pull(reader: object): Promise<IteratorResult<Out, undefined>> {
    if (this.#mode === "flowing" || this.#mode === "paused") throw claimedError();
    this.#reader ??= reader;
    if (this.#reader !== reader) throw claimedError();
    if (this.#mode === "unclaimed") this.#mode = "pulling";
    return new Promise((resolve, reject) => {
      this.#pulls.push({ resolve, reject });
      this.#answerPulls();
    });
  }

  /**
   * Answers waiting calls of `pull` in the same turn as the change, so that a failure right behind a message cannot
   * drop a message that a reader waits for.
   */
  #answerPulls(): void {
    // The room that a message leaves may bring the next one, and the end, before the first has reached its reader.
    if (this.#answering === "now") return;
    this.#answering = "now";
    for (let pull = this.#pulls.peek(); pull !== undefined; pull = this.#pulls.peek()) {
      const message = this.#endpoint.read();
      const { state } = this.#endpoint;
      if (message === undefined && !this.#endpoint.drained) break;
      this.#pulls.shift();
      if (message !== undefined) {
        const decoded = this.#decode(message);
        if (decoded.ok) pull.resolve({ done: false, value: decoded.value });
        else pull.reject(decoded.error);
      } else if (state.kind === "failed" || state.kind === "resetting") {
        pull.reject(state.error);
      } else {
        pull.resolve({ done: true, value: undefined });
        queueMicrotask(() => this.#settle());
      }
    }
    this.#answering = "not now";
  }

  /** Delivers in a microtask, so that the application that makes the stream flow has the rest of its turn before. */
  #schedule(): void {
    if (this.#flow === "scheduled") return;
    this.#flow = "scheduled";
    queueMicrotask(() => {
      this.#flow = "idle";
      this.#deliver();
      // A reader that pulls has the last message only in a later turn.
      if (this.#mode !== "pulling") this.#settle();
    });
  }

  #deliver(): void {
    this.#flow = "delivering";
    try {
      while (this.#mode === "flowing") {
        const message = this.#endpoint.read();
        if (message === undefined) break;
        const decoded = this.#decode(message);
        if (decoded.ok) this.#handlers.onData(decoded.value);
        else if (!decoded.told) {
          this.abandon();
          this.#handlers.onUnreadable(decoded.error);
        }
      }
      this.#flow = "idle";
    } catch (error) {
      this.#flow = "idle";
      this.#schedule();
      throw error;
    }
  }

  /** Resets the stream if the codec refuses the message; `told` is whether the stream's end says so. */
  #decode(message: ReceivedMessage): Decoded<Out> {
    try {
      return { ok: true, value: decodeMessage(this.#codec, message) };
    } catch (cause) {
      const { message, failure, hop } = StreamError.from(cause);
      const error = new StreamError(`this side cannot read a message: ${message}`, {
        code: Code.InvalidArgument,
        failure,
        hop,
        cause,
      });
      const told = this.#endpoint.state.kind === "open";
      this.#endpoint.reset(error);
      return { ok: false, told, error };
    }
  }

  #settle(): void {
    if (this.#mode === "drained" || !this.#endpoint.drained) return;
    this.#mode = "drained";
    this.#handlers.onDrained();
  }
}

function claimedError(): StreamError {
  return new StreamError('the messages are read already: choose one of on("data"), readable and for await', {
    code: Code.FailedPrecondition,
  });
}
