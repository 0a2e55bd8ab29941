import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
import type { Codec, InputOf, RawMessage } from "./codec.js";
import { Condition, Deferred } from "./deferred.js";
import { Emitter } from "./emitter.js";
import type { EndpointEvent } from "./endpoint.js";
import type { Leg, TransportKind } from "./leg.js";
import { type PipeDestination, pipe } from "./pipe.js";
import { Reading } from "./reading.js";
import { StreamError } from "./stream-error.js";
import { createReadable, createWritable, type WebStreamsSource } from "./web-streams.js";

export interface StreamEvents<Out> {
  /** How the stream travels is known. "open" follows. */
  transport: [kind: TransportKind];
  /** The listener has accepted. */
  open: [];
  /** A message. A listener for it makes the stream flow. */
  data: [message: Out];
  /** Every message has been read; the other side has finished. */
  end: [];
  /** There is room again after `write()` said false. */
  drain: [];
  /** After `end()`: the other endpoint has everything. */
  finish: [];
  /** The stream failed. "close" follows. */
  error: [error: StreamError];
  /** Nothing more will happen. */
  close: [];
}

export interface StreamInit<Out, In> {
  codec: Codec<Out, In>;
  /** What the client gave to `connect`. */
  metadata: Readonly<Record<string, string>>;
  /** For an offer: it is called when the stream is first used. */
  accept?: () => void;
  /** For an offer: it is called by `reject`. */
  reject?: (error: StreamError) => void;
}

/**
 * A duplex stream of messages with two faces over one state: WHATWG streams, and Node's events.
 *
 * - Whoever reads first decides how: `on("data")`, `readable`, or `for await`; a second way throws. What arrives before
 *   anybody reads waits, and the sender with it.
 * - `opened` resolves when the listener has accepted, and rejects with the `StreamError` that says why it did not.
 * - `closed` resolves when both sides have finished and everything has arrived, and rejects with a `StreamError` otherwise.
 *   Neither becomes an unhandled rejection.
 * - To close it: `end()` on both sides, or `destroy()` on either.
 */
export class Stream<Out = RawMessage, In = InputOf<Out>>
  extends Emitter<StreamEvents<Out>>
  implements AsyncIterable<Out>
{
  /** What the client gave to `connect`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly #init: StreamInit<Out, In>;
  readonly #leg: Leg;
  readonly #reading: Reading<Out>;
  readonly #closed = new Deferred<void>();
  readonly #finished = new Deferred<void>();
  readonly #writableNow = new Condition();
  #drain: "not needed" | "needed" = "not needed";
  #end: { kind: "pending" } | { kind: "told" } | { kind: "announced" } = { kind: "pending" };
  #readable: ReadableStream<Out> | undefined;
  #writable: WritableStream<In> | undefined;

  constructor(leg: Leg, init: StreamInit<Out, In>) {
    super();
    this.#leg = leg;
    this.#init = init;
    this.metadata = init.metadata;
    this.#reading = new Reading<Out>(leg.endpoint, init.codec as Codec<Out, never>, {
      onData: (message) => this.emit("data", message),
      onDrained: () => {
        if (!this.#failed) this.emit("end");
        // After "finish", which may be due in this same turn.
        queueMicrotask(() => this.#announceClose());
      },
      onUnreadable: (error) => {
        if (this.#end.kind === "pending") this.#end = { kind: "told" };
        this.emit("error", error);
        queueMicrotask(() => this.#announceClose());
      },
    });
    leg.onChange = (event) => this.#onChange(event);
    leg.onAttached = () => queueMicrotask(() => this.transport && this.emit("transport", this.transport));
    leg.opened.promise.then(
      () => this.emit("open"),
      () => {},
    );
    this.#finished.promise.then(
      () => this.emit("finish"),
      () => {},
    );
  }

  /** The relay's id of the stream, for logs; empty until the relay has answered. */
  get id(): string {
    return this.#leg.streamId;
  }

  /** How the stream travels; undefined until the relay has answered. */
  get transport(): TransportKind | undefined {
    return this.#leg.transport;
  }

  get opened(): Promise<void> {
    return this.#leg.opened.promise;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** The cost of what was written and not yet handed to the transport, in bytes. */
  get bufferedBytes(): number {
    return this.#leg.endpoint.bufferedBytes;
  }

  /** As Node has it: whether `write()` said false and "drain" has not come yet. */
  get writableNeedDrain(): boolean {
    return this.#drain === "needed";
  }

  /**
   * Sends a message. False when more than the high-water mark waits: go on at "drain". The bytes are not copied: leave them
   * as they are until "finish", or until `closed` settles. Throws a `StreamError` when the message does not fit the codec or is
   * larger than the other side takes, and after `end()`. On a stream that failed it does nothing: "error" and `closed` have
   * said so.
   */
  write(message: In): boolean {
    this.#init.accept?.();
    const room = this.#leg.endpoint.write(this.#init.codec.encode(message));
    if (!room && this.#leg.endpoint.state.kind === "open") this.#drain = "needed";
    return room;
  }

  /** Finishes this direction, after what was written and after `message`, if given. Reading goes on. */
  end(message?: In): this {
    if (message !== undefined) this.write(message);
    this.#init.accept?.();
    this.#leg.endpoint.finish();
    return this;
  }

  /**
   * Ends the stream at once, both ways; what is on its way is dropped. The other side fails with the code and the message
   * of the error, or with `canceled`. Here `closed` rejects, and "error" is emitted only if an error was given.
   */
  destroy(error?: unknown): this {
    if (this.#leg.endpoint.state.kind !== "open") {
      this.#reading.abandon();
      queueMicrotask(() => this.#announceClose());
      return this;
    }
    if (error === undefined) this.#end = { kind: "told" };
    this.#leg.endpoint.reset(
      error === undefined
        ? new StreamError("the stream was destroyed", { failure: Failure.PEER_CANCELED, hop: Hop.CALLER })
        : StreamError.from(error),
    );
    return this;
  }

  /**
   * Declines an offer that was not used yet, with a status code and a reason that reach the client as they are. Throws
   * `failed_precondition` on a stream that is none, or not any more.
   */
  reject(code: Code = Code.PermissionDenied, reason = "declined"): void {
    if (this.#init.reject === undefined) {
      throw new StreamError("only an offer can be rejected", { code: Code.FailedPrecondition });
    }
    if (!(code in Code)) throw new StreamError(`${code} is not a status code`, { code: Code.InvalidArgument });
    const end = this.#end;
    this.#end = { kind: "told" };
    try {
      this.#init.reject(new StreamError(reason, { failure: Failure.DECLINED, code, hop: Hop.CALLER }));
    } catch (reason) {
      this.#end = end;
      throw reason;
    }
  }

  /** Stops "data" until `resume()`. The sender is stopped when a window of messages waits. */
  pause(): this {
    this.#reading.pause();
    return this;
  }

  resume(): this {
    this.#init.accept?.();
    this.#reading.flow();
    return this;
  }

  /** Writes every message to `destination`, at its pace, and ends it; destroys either when the other fails. */
  pipe<D extends PipeDestination<Out>>(destination: D, options: { end?: boolean } = {}): D {
    void pipe(this, destination, options.end ?? true);
    return destination;
  }

  /** The messages, pulled at the reader's pace. Cancelling it destroys the stream. */
  get readable(): ReadableStream<Out> {
    this.#readable ??= createReadable(this.#webSource);
    return this.#readable;
  }

  /** Its writes resolve when there is room for another; closing it resolves when everything has arrived. */
  get writable(): WritableStream<In> {
    this.#writable ??= createWritable(this.#webSource);
    return this.#writable;
  }

  /** The messages; leaving the loop early destroys the stream. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Out, undefined> {
    const iterator: AsyncIterableIterator<Out, undefined> = {
      next: () => this.#pull(iterator),
      return: async () => {
        this.destroy();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  protected override listenerAdded(event: keyof StreamEvents<Out>): void {
    if (event === "data") this.resume();
  }

  get #webSource(): WebStreamsSource<Out, In> {
    return {
      endpoint: this.#leg.endpoint,
      pull: () => this.#pull(this.#leg),
      write: (message) => this.write(message),
      end: () => this.end(),
      destroy: (error) => this.destroy(error),
      roomChanged: () => this.#writableNow.changed(),
      finished: this.#finished.promise,
      closed: this.#closed.promise,
    };
  }

  async #pull(reader: object): Promise<IteratorResult<Out, undefined>> {
    this.#init.accept?.();
    return this.#reading.pull(reader);
  }

  get #failed(): boolean {
    const { kind } = this.#leg.endpoint.state;
    return kind === "failed" || kind === "resetting";
  }

  #onChange(event: EndpointEvent): void {
    if (event === "readable" || event === "state") this.#reading.notify();
    if (event === "writable" || event === "state") this.#writableNow.notify();
    if (event === "writable" && this.#drain === "needed" && this.#leg.endpoint.state.kind === "open") {
      this.#drain = "not needed";
      queueMicrotask(() => this.emit("drain"));
    }
    if (event === "state") this.#onState();
  }

  #onState(): void {
    const { state } = this.#leg.endpoint;
    if (state.kind === "closed" || (state.kind === "open" && state.sending === "acked")) {
      this.#finished.resolve();
    }
    if (state.kind === "closed") this.#closed.resolve();
    if (state.kind === "failed" || state.kind === "resetting") {
      for (const pending of [this.#leg.opened, this.#finished, this.#closed]) pending.reject(state.error);
    }
    if (state.kind !== "open") queueMicrotask(() => this.#announceClose());
  }

  #announceClose(): void {
    const { state } = this.#leg.endpoint;
    if (state.kind === "open" || this.#end.kind === "announced" || this.#reading.holdsBackClose) return;
    const quietly = this.#end.kind === "told" || state.kind === "closed";
    this.#end = { kind: "announced" };
    if (!quietly) this.emit("error", state.error);
    this.emit("close");
  }
}
