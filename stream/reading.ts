import { Code } from "@connectrpc/connect";
import { type Codec, copyingCodecs } from "./codec.js";
import { Condition } from "./deferred.js";
import type { Endpoint } from "./endpoint.js";
import { giveBack } from "./lent-memory.js";
import type { ReceivedMessage } from "./sender.js";
import { StreamError } from "./stream-error.js";

export interface ReadingHandlers<Out> {
  onData(message: Out): void;
  /** The reader knows that no message will come any more. Called once. */
  onDrained(): void;
  /** Instead of it: a message that the codec refused arrived before the stream ended, and nothing else will say so. */
  onUnreadable(error: StreamError): void;
}

type Decoded<Out> = { ok: true; value: Out } | { ok: false; told: boolean; error: StreamError };

/**
 * Hands an endpoint's messages to the one who reads them: to a handler, as they come ("flowing"), or one by one to whoever
 * asks ("pulling"). The first way used is the only one.
 */
export class Reading<Out> {
  readonly #endpoint: Endpoint;
  readonly #codec: Codec<Out, never>;
  readonly #handlers: ReadingHandlers<Out>;
  readonly #changed = new Condition();
  #mode: "unclaimed" | "flowing" | "paused" | "pulling" | "drained" = "unclaimed";
  #flow: "idle" | "scheduled" | "delivering" = "idle";
  #lastPull: Promise<unknown> = Promise.resolve();
  /** Who pulls: a second one would get every other message. */
  #reader: object | undefined;

  constructor(endpoint: Endpoint, codec: Codec<Out, never>, handlers: ReadingHandlers<Out>) {
    this.#endpoint = endpoint;
    this.#codec = codec;
    this.#handlers = handlers;
  }

  /**
   * Whether the reader has still to hear what comes before "close". Messages that nobody reads hold nothing back, and whoever
   * pulls learns by pulling that the stream failed.
   */
  get holdsBackClose(): boolean {
    if (this.#mode === "pulling") return this.#endpoint.state.kind === "closed";
    return (this.#mode === "flowing" || this.#mode === "paused") && !this.#endpoint.drained;
  }

  /** Nobody will read any more. */
  abandon(): void {
    this.#mode = "drained";
  }

  /** The endpoint changed. What a handler throws is the handler's, and not the endpoint's. */
  notify(): void {
    this.#changed.notify();
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
    if (this.#mode === "pulling") throw claimed();
    if (this.#mode === "drained") return;
    this.#mode = "flowing";
    this.#schedule();
  }

  pause(): void {
    if (this.#mode === "pulling") throw claimed();
    if (this.#mode !== "drained") this.#mode = "paused";
  }

  /** The next message; `done` after the last one; rejects, after the messages that did arrive, if the stream failed. */
  pull(reader: object): Promise<IteratorResult<Out, undefined>> {
    if (this.#mode === "flowing" || this.#mode === "paused") throw claimed();
    if (this.#mode === "unclaimed") this.#mode = "pulling";
    this.#reader ??= reader;
    if (this.#reader !== reader) throw claimed();
    const next = this.#lastPull.then(() => this.#next());
    this.#lastPull = next.catch(() => {});
    return next;
  }

  async #next(): Promise<IteratorResult<Out, undefined>> {
    for (;;) {
      const message = this.#endpoint.read();
      if (message !== undefined) {
        const decoded = this.#take(message);
        if (!decoded.ok) throw decoded.error;
        return { done: false, value: decoded.value };
      }
      const { state } = this.#endpoint;
      if (state.kind === "failed" || state.kind === "resetting") throw state.error;
      if (this.#endpoint.drained) {
        this.#settle();
        return { done: true, value: undefined };
      }
      await this.#changed.changed();
    }
  }

  /** In a microtask of its own: whoever makes the stream flow has the rest of its turn before. */
  #schedule(): void {
    if (this.#flow === "scheduled") return;
    this.#flow = "scheduled";
    queueMicrotask(() => {
      this.#flow = "idle";
      this.#deliver();
      // Whoever pulls has the last message only in a later turn.
      if (this.#mode !== "pulling") this.#settle();
    });
  }

  #deliver(): void {
    this.#flow = "delivering";
    try {
      while (this.#mode === "flowing") {
        const message = this.#endpoint.read();
        if (message === undefined) break;
        const decoded = this.#take(message);
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

  #take(message: ReceivedMessage): Decoded<Out> {
    const decoded = this.#decode(message);
    if (copyingCodecs.has(this.#codec)) giveBack(message.data);
    return decoded;
  }

  /** Resets the stream if the codec refuses the message; `told` is whether the stream's end says so. */
  #decode(message: ReceivedMessage): Decoded<Out> {
    try {
      return { ok: true, value: this.#codec.decode(message) };
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

function claimed(): StreamError {
  return new StreamError(
    'the messages of this stream are already being read: choose one of on("data"), readable and for await',
    { code: Code.FailedPrecondition },
  );
}
