import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
import { type Codec, encodeMessage, type InputOf, type RawMessage } from "./codec.js";
import type { EndpointEvent } from "./endpoint/endpoint.js";
import type { EncodedMessage } from "./endpoint/sender.js";
import { invalidArgumentError } from "./error/options.js";
import { canceledError, isOwnCancel, StreamError } from "./error/stream-error.js";
import { type PipeDestination, pipe } from "./pipe.js";
import { Condition, Deferred } from "./platform/deferred.js";
import { Emitter } from "./platform/emitter.js";
import { Outbox } from "./platform/outbox.js";
import { Reading } from "./reading.js";
import type { StreamLife, StreamState, Suspension, TransportKind } from "./stream-life.js";
import { createReadable, createWritable, type WebStreamsSource } from "./web-streams.js";

export interface StreamEvents<Out> {
  /** The relay has answered, and it is known how the stream travels. "open" follows. */
  transport: [kind: TransportKind];
  /** The listener has accepted. */
  open: [];
  /**
   * A connection is lost, this side's or the peer's, and the stream waits for it to come back. Messages that are
   * written meanwhile wait, and nothing is lost: "resumed" follows, or the stream fails with FAILURE_LEG_LOST when the
   * grace period is over.
   */
  suspended: [suspension: Suspension];
  /** The connections are back. Messages travel again, from where they were. */
  resumed: [];
  /** A message. A listener for it makes the stream flow. */
  data: [message: Out];
  /** The peer has finished, and every message has been read. */
  end: [];
  /** There is room again after `write()` returned false. */
  drain: [];
  /** After `end()`: the peer has everything. */
  finish: [];
  /** The stream failed. "close" follows. */
  error: [error: StreamError];
  /** Nothing more will happen. */
  close: [];
}

/** The facts that the relay knows about the client of a stream, and tells the listener. */
export interface Caller {
  /**
   * The Origin header of the request by which the client reached the relay, such as "https://example.com".
   *
   * - A browser writes this header itself, and no script can change it. It names the site of the client's page, or is
   *   "null" for a page without one, such as a file.
   * - Empty for a client that sent no such header, as Node, the command and other programs do by default.
   * - A program outside of a browser can send any Origin header. So the origin tells one page from another, and is no
   *   proof of identity unless the relay, or a proxy before it, checks who calls.
   */
  readonly origin: string;
  /**
   * The identity of the client, as the relay's policy has verified it. Empty if it has verified none. Only the relay
   * writes this and the next two, so that a listener may trust them as far as it trusts the relay.
   */
  readonly subject: string;
  /** A name of the client for people, from the same source. */
  readonly name: string;
  /** More verified facts about the client, from the same source. */
  readonly meta: Readonly<Record<string, string>>;
  /** Whether the client is the relay's gateway, which brings requests of HTTP for the caller that this is about. */
  readonly viaGateway: boolean;
}

export interface StreamInit<Out, In> {
  codec: Codec<Out, In>;
  /** The metadata that the client gave to `connect`. */
  metadata: Readonly<Record<string, string>>;
  /** For an offer: the facts that the relay knows about the client. */
  caller?: Caller;
  /** For an offer: called when the stream is first used. */
  accept?: () => void;
  /** For an offer: called by `reject`. */
  reject?: (error: StreamError) => void;
  /** Called with an error that nobody listens for. */
  onUnheard?: (error: StreamError) => void;
}

/**
 * A duplex stream of messages with two faces over one state: WHATWG streams, and Node's events.
 *
 * - The first way to read is the only one: `on("data")`, `readable`, or `for await`; a second way throws
 *   `failed_precondition`. Messages that arrive before anybody reads wait, and the sender with them.
 * - A peer that finishes loses nothing: every message is read before "end", and "close" follows when both sides are
 *   done.
 * - A stream that fails drops the messages that were not read, at once and in both faces, whether it is paused or not:
 *   the peer has reset it, this side has destroyed it, or the connection of either is lost.
 * - `opened` resolves when the listener has accepted, and rejects with the `StreamError` that says why it did not.
 * - `closed` resolves when both sides have finished and everything has arrived, and rejects with a `StreamError`
 *   otherwise. Neither becomes an unhandled rejection.
 * - An error that nobody listens for is shown once, on the console of a page or on standard error in Node. Listeners
 *   are: one for "error", the caller of `closed`, the caller of `opened` while it is pending, and a reader or a writer
 *   that rejects.
 * - To close it: `end()` on both sides, or `destroy()` on either.
 *
 * @example
 * const stream = StreamClient(relayUrl).connect("SERVER_NAME");
 * stream.on("data", (message) => console.log(message));
 * stream.on("error", ({ failure, message }) => console.error(Failure[failure], message));
 * stream.end("hello");
 */
export class Stream<Out = RawMessage, In = InputOf<Out>>
  extends Emitter<StreamEvents<Out>>
  implements AsyncIterable<Out>
{
  /** The metadata that the client gave to `connect`. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * The facts that the relay knows about the client, for its listener. Undefined on the client's own side.
   *
   * @example
   * StreamServer(relayUrl, (stream) => {
   *   if (stream.caller?.origin !== "https://example.com") stream.reject();
   * }).listen("SERVER_NAME");
   */
  readonly caller: Caller | undefined;
  readonly #init: StreamInit<Out, In>;
  readonly #life: StreamLife;
  readonly #reading: Reading<Out>;
  readonly #outbox = new Outbox();
  readonly #closed = new Deferred<void>();
  readonly #finished = new Deferred<void>();
  readonly #writableNow = new Condition();
  /** The promises that the application has asked for. */
  readonly #taken = new Set<"opened" | "closed">();
  #drain: "not needed" | "needed" = "not needed";
  /** The end is "told" before it is announced if it needs no "error". */
  #end: "pending" | "told" | "announced" = "pending";
  #finish: "pending" | "announced" = "pending";
  /**
   * Whether a reader or a writer learned by its own face that the stream failed. It may have let go of the stream
   * since.
   */
  #isFaced = false;
  #readable: ReadableStream<Out> | undefined;
  #writable: WritableStream<In> | undefined;

  constructor(life: StreamLife, init: StreamInit<Out, In>) {
    super();
    this.#life = life;
    this.#init = init;
    this.metadata = init.metadata;
    this.caller = init.caller;
    this.#reading = new Reading<Out>(life.endpoint, init.codec as Codec<Out, never>, {
      onData: (message) => this.emit("data", message),
      onDrained: () => this.#onDrained(),
      onUnreadable: (error) => {
        if (this.#end === "pending") this.#end = "told";
        this.emit("error", error);
        this.#outbox.put(() => this.#announceClose());
      },
    });
    life.onChange = (event) => this.#onChange(event);
    // A leg may attach to tell the relay of the end, of which the application has heard already.
    const putIfOpen = (tell: () => void) => {
      if (life.endpoint.state.kind === "open") this.#outbox.put(tell);
    };
    life.once("attached", () => putIfOpen(() => this.transport && this.emit("transport", this.transport)));
    life.on("accepted", () => putIfOpen(() => this.emit("open")));
    life.on("suspended", (suspension) => putIfOpen(() => this.emit("suspended", suspension)));
    life.on("resumed", () => putIfOpen(() => this.emit("resumed")));
  }

  /**
   * Writes a message that is encoded already, for `broadcast`: whether there is room for more, as `write` says.
   * Undefined if the stream did not take it, because it is over, this direction was finished, or its peer takes only
   * smaller messages.
   */
  static writeEncoded(stream: Stream<unknown, never>, message: EncodedMessage): boolean | undefined {
    try {
      const room = stream.#send(message);
      return stream.#life.endpoint.state.kind === "open" ? room : undefined;
    } catch {
      return undefined;
    }
  }

  /** The relay's id of the stream, for logs; empty until the relay has answered. */
  get id(): string {
    return this.#life.streamId;
  }

  /** How the stream travels; undefined until the relay has answered. */
  get transport(): TransportKind | undefined {
    return this.#life.transport;
  }

  /** Whether messages travel now, and how the stream ended if it is over. */
  get state(): StreamState {
    return this.#life.state;
  }

  get opened(): Promise<void> {
    this.#taken.add("opened");
    return this.#life.opened.promise;
  }

  get closed(): Promise<void> {
    this.#taken.add("closed");
    return this.#closed.promise;
  }

  /** The cost in bytes of the messages that were written and not yet handed to the transport. */
  get bufferedBytes(): number {
    return this.#life.endpoint.bufferedBytes;
  }

  /** As in Node: whether `write()` returned false and "drain" has not come yet. */
  get writableNeedDrain(): boolean {
    return this.#drain === "needed";
  }

  /**
   * Sends a message, and accepts an offer.
   *
   * - Returns false when more than the high-water mark waits: go on at "drain".
   * - More than 64 bytes are not copied: leave them as they are until "finish", or until `closed` settles. If their
   *   buffer is transferred away before they are sent, or have to be sent again, the stream ends with
   *   `invalid_argument`.
   * - Throws a `StreamError`, changes nothing and accepts nothing when the codec refuses the message, when it is larger
   *   than the peer takes, when a text has half of a surrogate pair, when a buffer was transferred away, and after
   *   `end()`.
   * - Does nothing on a stream that failed: "error" and `closed` have said so.
   */
  write(message: In): boolean {
    return this.#send(encodeMessage(this.#init.codec, message));
  }

  /**
   * Finishes this direction, after all messages written and after `message`, if given. Reading goes on. Accepts an
   * offer.
   */
  end(message?: In): this {
    if (message !== undefined) this.write(message);
    this.#life.endpoint.finish();
    this.#init.accept?.();
    return this;
  }

  /**
   * Ends the stream at once, both ways. Messages that were not sent or not read are dropped.
   *
   * - The peer fails with the code and the message of the error, or with `canceled` if there is none.
   * - Here `closed` rejects, and "error" is emitted only if an error was given.
   * - An offer that was not accepted yet is declined.
   */
  destroy(error?: unknown): this {
    if (this.#life.endpoint.state.kind === "open") {
      const isCancel = error === undefined || error === null || (error as Error).name === "AbortError";
      return this.#reset(isCancel ? canceledError(error) : StreamError.from(error), error ?? undefined);
    }
    this.#reading.abandon();
    this.#outbox.put(() => this.#announceClose());
    return this;
  }

  /**
   * Declines an offer that was not used yet.
   *
   * - The code and the reason reach the client as they are. Default `permission_denied`, "declined".
   * - Throws `failed_precondition` on a stream that is no offer, or not any more.
   */
  reject(code: Code = Code.PermissionDenied, reason = "declined"): void {
    if (this.#init.reject === undefined) {
      throw new StreamError("only an offer can be rejected", { code: Code.FailedPrecondition });
    }
    if (!(code in Code)) throw invalidArgumentError(`${code} is not a status code`);
    const end = this.#end;
    this.#end = "told";
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
    this.#reading.flow();
    this.#init.accept?.();
    return this;
  }

  /**
   * Writes every message to `destination`, at its pace, and ends it, unless `end` is false. A stream that fails
   * destroys the destination at once; a destination that closes or fails destroys the stream.
   */
  pipe<D extends PipeDestination<Out>>(destination: D, options: { end?: boolean } = {}): D {
    const source = {
      [Symbol.asyncIterator]: () => this[Symbol.asyncIterator](),
      destroy: () => this.destroy(),
      closed: this.#closed.promise,
      onUnheard: (error: unknown) => this.#showUnheard(StreamError.from(error)),
    };
    void pipe(source, destination, options.end ?? true);
    return destination;
  }

  /** The messages, pulled at the reader's pace. Cancelling it ends the stream, which is `canceled` for the peer. */
  get readable(): ReadableStream<Out> {
    this.#readable ??= createReadable(this.#webSource);
    return this.#readable;
  }

  /**
   * A write resolves when there is room for another, and closing when everything has arrived. Aborting it ends the
   * stream, which is `canceled` for the peer.
   */
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

  protected override errorUnheard(error: unknown): void {
    if (!this.#isFaced) this.#showUnheard(StreamError.from(error));
  }

  get #webSource(): WebStreamsSource<Out, In> {
    return {
      endpoint: this.#life.endpoint,
      pull: () => this.#pull(this.#life),
      write: (message) => this.write(message),
      end: () => this.end(),
      destroy: (error) => this.destroy(error),
      // A reason is the application's own: it is told to the peer, and an error here only if it is a StreamError.
      cancel: (reason) => this.#reset(canceledError(reason), reason instanceof StreamError ? reason : undefined),
      roomChanged: () => this.#writableNow.changed(),
      finished: this.#finished.promise,
      closed: this.#closed.promise,
    };
  }

  /** The offer is accepted last, so that a message that is refused accepts nothing. */
  #send(message: EncodedMessage): boolean {
    const room = this.#life.endpoint.write(message);
    if (!room && this.#life.endpoint.state.kind === "open") this.#drain = "needed";
    this.#init.accept?.();
    return room;
  }

  /** "error" is emitted if `given` is defined. */
  #reset(error: StreamError, given: unknown): this {
    if (this.#life.endpoint.state.kind !== "open") return this;
    if (given === undefined) this.#end = "told";
    this.#life.endpoint.reset(error);
    return this;
  }

  #pull(reader: object): Promise<IteratorResult<Out, undefined>> {
    try {
      const pulled = this.#reading.pull(reader);
      this.#init.accept?.();
      return pulled;
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  #onChange(event: EndpointEvent): void {
    if (event === "readable" || event === "state") this.#reading.notify();
    if (event === "writable" || event === "state") this.#writableNow.notify();
    if (event === "writable" && this.#drain === "needed" && this.#life.endpoint.state.kind === "open") {
      this.#drain = "not needed";
      this.#outbox.put(() => this.emit("drain"));
    }
    if (event === "state") this.#onState();
  }

  #onState(): void {
    const { state } = this.#life.endpoint;
    if (state.kind === "closed" || (state.kind === "open" && state.sending === "acked")) {
      if (this.#finish === "pending") this.#outbox.put(() => this.emit("finish"));
      this.#finish = "announced";
      this.#finished.resolve();
    }
    if (state.kind === "closed") this.#closed.resolve();
    if (state.kind === "failed" || state.kind === "resetting") {
      const isIterated = this.#reading.isPulling && this.#reading.reader !== this.#life;
      this.#isFaced ||= isIterated || Boolean(this.#readable?.locked || this.#writable?.locked);
      for (const pending of [this.#life.opened, this.#finished, this.#closed]) pending.reject(state.error);
    }
    if (state.kind !== "open") this.#outbox.put(() => this.#announceClose());
  }

  #onDrained(): void {
    const { kind } = this.#life.endpoint.state;
    if (kind === "open" || kind === "closed") this.#outbox.put(() => this.emit("end"));
    this.#outbox.put(() => this.#announceClose());
  }

  #announceClose(): void {
    const { state } = this.#life.endpoint;
    if (state.kind === "open" || this.#end === "announced" || this.#reading.holdsBackClose) return;
    const isTold = this.#end === "told" || state.kind === "closed";
    this.#end = "announced";
    this.#outbox.put(() => this.emit("close"));
    if (!isTold) this.emit("error", state.error);
  }

  #showUnheard(error: StreamError): void {
    const isOpenedHeard = this.#taken.has("opened") && !this.#life.isAccepted;
    if (this.listenerCount("error") > 0 || this.#taken.has("closed") || isOpenedHeard || isOwnCancel(error)) return;
    this.#init.onUnheard?.(error);
  }
}
