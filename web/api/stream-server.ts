import { Code, type Transport } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { type Offer, type Registered, RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import { afterAwake, heartbeatsUntilLost } from "../../link/link-watch.js";
import { only } from "../../link/rpc-transport.js";
import { type Codec, encodeMessage, type RawInput, type RawMessage } from "../../stream/codec.js";
import type { EndpointOptions } from "../../stream/endpoint/endpoint.js";
import { relayLostError } from "../../stream/error/failure-detail.js";
import { type OptionType, primitive } from "../../stream/error/options.js";
import { isOwnCancel, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";
import { Emitter } from "../../stream/platform/emitter.js";
import type { Stream } from "../../stream/stream.js";
import type { TransportKind } from "../../stream/stream-life.js";
import { callStream, callUnary } from "../link/rpc-call.js";
import { relayOf, transportError, transportFactsOf, transportKind } from "../transport/transport-facts.js";
import { type Broadcast, broadcast } from "./broadcast.js";
import { nameError } from "./name-error.js";
import { OfferStream } from "./offer-stream.js";
import { clientOptions } from "./stream-client.js";
import { StreamQueue } from "./stream-queue.js";

/**
 * Called for each client. A client that the callback has neither used nor rejected is accepted when it returns, or when
 * the promise that it returned resolves. If it throws or its promise rejects, the client is declined with `internal`.
 */
export type StreamCallback<Out, In> = (stream: Stream<Out, In>) => unknown;

export interface StreamServerOptions<Out = RawMessage, In = RawInput> extends EndpointOptions {
  /** The relay's path under a base URL. Default "/browser-server". A transport has its own. */
  prefix?: string | undefined;
  /** Encodes and decodes the messages. Default `rawCodec`: strings and bytes, as they were written. */
  codec?: Codec<Out, In> | undefined;
  /** Whether `List` and `Watch` show the name. Default false: only those who know it find it. */
  listed?: boolean | undefined;
}

export interface StreamServerEvents<Out, In> {
  /** The relay has answered, and it is known how it was reached. "ready" follows. */
  transport: [kind: TransportKind];
  /** The name is claimed. */
  ready: [];
  /** A client. */
  stream: [stream: Stream<Out, In>];
  /** The server failed: the name is taken, or the relay is gone. "close" follows. */
  error: [error: StreamError];
  /** The name is free again. */
  close: [];
}

export interface StreamServerInit<Out, In> extends EndpointOptions {
  transport: () => Promise<Transport>;
  codec: Codec<Out, In>;
  listed: boolean;
  callback: StreamCallback<Out, In> | undefined;
  clock: Clock;
  /** Called with an error that nobody listens for, and with whose it is. */
  onUnheard: (what: string, error: StreamError) => void;
}

export const serverOptions: Record<keyof StreamServerOptions, OptionType> = {
  ...clientOptions,
  listed: primitive("boolean"),
};

type ServerState =
  | { kind: "idle" }
  | { kind: "claiming"; name: string }
  | { kind: "listening"; name: string; registered: Registered; transport: TransportKind | undefined }
  | { kind: "ending" }
  | { kind: "closed"; name: string; wasReady: boolean };

/** The relay has this long to answer `Reject` and `Unlisten`, and `end()` waits as long for it to hear of decisions. */
const answerTimeoutMs = 5_000;

/**
 * Listens on a name. Each client is a `Stream`, handed to the callback, to "stream", or to a `for await` over the
 * server.
 *
 * - The first use of a stream accepts the client; so does the callback's return, or the end of the promise it returned.
 *   `stream.reject(code, reason)` before that declines it.
 * - `ready` resolves when the name is claimed, and rejects with FAILURE_NAME_TAKEN and other failures that prevent it.
 * - `closed` resolves after `end()`, and rejects if the server failed. Neither becomes an unhandled rejection.
 * - An error that nobody listens for is shown once, on the console of a page or on standard error in Node. Listeners
 *   are: one for "error", the caller of `closed`, the caller of `ready` while it is pending, and a loop over the
 *   server.
 * - Call `end()` to give the name back. Streams live on.
 *
 * @example
 * const server = StreamServer(relayUrl, (stream) => {
 *   stream.on("data", (message) => server.broadcast(message));
 * }).listen("SERVER_NAME");
 * server.on("error", ({ failure, message }) => console.error(Failure[failure], message));
 */
export class StreamServer<Out, In = Out>
  extends Emitter<StreamServerEvents<Out, In>>
  implements AsyncIterable<Stream<Out, In>>
{
  readonly #init: StreamServerInit<Out, In>;
  readonly #ready = new Deferred<void>();
  readonly #closed = new Deferred<void>();
  readonly #abort = new AbortController();
  /** The offers of which the relay has not heard what became of them. */
  readonly #offers = new Map<string, OfferStream<Out, In>>();
  readonly #streams = new Set<Stream<Out, In>>();
  readonly #unclaimed = new StreamQueue<Out, In>(() => this.end());
  /** The promises that the application has asked for. */
  readonly #taken = new Set<"ready" | "closed">();
  #state: ServerState = { kind: "idle" };

  constructor(init: StreamServerInit<Out, In>) {
    super();
    this.#init = init;
  }

  get ready(): Promise<void> {
    this.#taken.add("ready");
    return this.#ready.promise;
  }

  get closed(): Promise<void> {
    this.#taken.add("closed");
    return this.#closed.promise;
  }

  /**
   * The live streams: those that were accepted and are not over. The set is the server's own, and changes as they come
   * and go.
   */
  get streams(): ReadonlySet<Stream<Out, In>> {
    return this.#streams;
  }

  /** How the relay was reached; undefined while the name is not claimed. Each stream says it for itself. */
  get transport(): TransportKind | undefined {
    return this.#state.kind === "listening" ? this.#state.transport : undefined;
  }

  /**
   * Claims a name. A name that the relay cannot hold fails the server with FAILURE_NAME_INVALID. Throws
   * `failed_precondition` the second time: a server has one name.
   */
  listen(name: string): this {
    if (this.#state.kind !== "idle") {
      throw new StreamError("a stream server listens once: make another one", { code: Code.FailedPrecondition });
    }
    this.#state = { kind: "claiming", name };
    const error = nameError(name);
    if (error === undefined) void this.#run(name);
    else this.#close(error);
    return this;
  }

  /**
   * Writes a message to all live streams. It is encoded once, and no stream holds up the others.
   *
   * - A slow reader loses nothing: the message waits for it. Its stream fails with FAILURE_LIMIT_REACHED when more than
   *   its `maxBufferedBytes` wait, and the others go on. To drop messages for it or to part with it earlier, look at
   *   `behind` in the answer, or at a stream's `bufferedBytes`.
   * - Bytes are not copied: leave them as they are until each stream has sent them.
   * - Throws, and writes to no stream, when the codec refuses the message.
   */
  broadcast(message: In): Broadcast<Out, In> {
    return broadcast(this.#streams, encodeMessage(this.#init.codec, message));
  }

  /**
   * Gives the name back. Clients that were accepted or declined before are told so first; those that still wait hear
   * FAILURE_LISTENER_GONE. Resolves when the name is free, or the relay is gone; never rejects.
   */
  async end(): Promise<void> {
    const state = this.#state;
    if (state.kind === "idle") this.#close(undefined);
    if (state.kind === "claiming") this.#abort.abort();
    if (state.kind === "claiming" || state.kind === "listening") this.#state = { kind: "ending" };
    if (state.kind === "listening") {
      await this.#decisionsTold();
      await this.#unlisten(state.registered);
    }
    await this.#closed.promise.catch(() => {});
  }

  /** The clients that no callback takes. Leaving the loop ends the server. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Stream<Out, In>, undefined> {
    return this.#unclaimed.iterate();
  }

  protected override errorUnheard(error: unknown): void {
    const state = this.#state;
    if (state.kind !== "closed") return;
    const isReadyHeard = this.#taken.has("ready") && !state.wasReady;
    const shown = StreamError.from(error);
    if (this.#taken.has("closed") || isReadyHeard || this.#unclaimed.isIterated || isOwnCancel(shown)) return;
    this.#init.onUnheard(`the server of ${JSON.stringify(state.name)}`, shown);
  }

  async #run(name: string): Promise<void> {
    const { transport: openTransport, listed, clock } = this.#init;
    let stopWatching = () => {};
    let transport: Transport | undefined;
    try {
      transport = await openTransport();
      let header: Headers | undefined;
      const onHeader = (received: Headers) => {
        header = received;
      };
      const options = { signal: this.#abort.signal, timeoutMs: 0, onHeader };
      const responses = callStream(transport, RelayService.method.listen, only({ name, listed }), options);
      for await (const { event } of responses) {
        if (event.case === "registered") {
          transportFactsOf(transport).setHeartbeat?.(event.value.heartbeatIntervalMs);
          this.#onRegistered(event.value, transportKind(transport, header));
        }
        if (event.case === "offer") this.#onOffer(event.value, transport);
        else if (event.case === "withdrawn") this.#offers.get(event.value.streamId)?.withdraw(offerGoneError());
        stopWatching();
        // A link has a watch of its own, and ends its calls.
        if (this.#state.kind === "listening" && this.#state.transport === "native") {
          const silenceMs = heartbeatsUntilLost * this.#state.registered.heartbeatIntervalMs;
          const lost = () => this.#abort.abort(relayLostError(`${relayOf(transport)} is silent`));
          stopWatching = afterAwake(clock, silenceMs, lost);
        }
      }
      this.#close(relayLostError(`${relayOf(transport)} ended the lease`));
    } catch (reason) {
      const { signal } = this.#abort;
      const error = transportError(reason, transport, this.#state.kind === "listening");
      this.#close(signal.reason instanceof StreamError ? signal.reason : error);
    } finally {
      stopWatching();
      // The name is free when the call is over, however this side came to its end.
      this.#abort.abort();
    }
  }

  #onRegistered(registered: Registered, transport: TransportKind | undefined): void {
    if (this.#state.kind !== "claiming") return;
    this.#state = { ...this.#state, kind: "listening", registered, transport };
    this.#ready.resolve();
    // A listener that throws ends its own turn, so each event has a turn of its own.
    if (transport !== undefined) queueMicrotask(() => this.emit("transport", transport));
    queueMicrotask(() => this.emit("ready"));
  }

  #onOffer(offer: Offer, transport: Transport): void {
    // A client that comes while the server ends is told by the relay.
    if (this.#state.kind !== "listening") return;
    const { name } = this.#state;
    const { streamId, legToken } = offer;
    const offered: OfferStream<Out, In> = new OfferStream({
      ...this.#init,
      offer,
      transport,
      reject: (code, reason) => {
        const decision = { streamId, legToken, code, reason };
        return callUnary(transport, RelayService.method.reject, decision, { timeoutMs: answerTimeoutMs });
      },
      onDecided: (decision) => {
        this.#unclaimed.remove(offered);
        if (decision === "accepted") this.#streams.add(offered.stream);
      },
      onOver: () => this.#streams.delete(offered.stream),
      onUnheard: (error) => this.#init.onUnheard(`a stream of ${JSON.stringify(name)}`, error),
    });
    this.#offers.set(streamId, offered);
    void offered.told.then(() => this.#offers.delete(streamId));
    const { callback } = this.#init;
    if (callback === undefined && this.listenerCount("stream") === 0) return this.#unclaimed.push(offered);
    offered.handTo((stream) => {
      this.emit("stream", stream);
      return callback?.(stream);
    });
  }

  /** Resolves when the relay has heard what became of all offers that were decided, or has had the time for it. */
  async #decisionsTold(): Promise<void> {
    const { promise: timeout, resolve } = new Deferred<"timeout">();
    const stop = this.#init.clock.after(answerTimeoutMs, () => resolve("timeout"));
    const decided = () => [...this.#offers.values()].filter((offered) => offered.isDecided);
    for (let offers = decided(); offers.length > 0; offers = decided()) {
      const told = Promise.all(offers.map((offered) => offered.told));
      if ((await Promise.race([told, timeout])) === "timeout") break;
    }
    stop();
  }

  async #unlisten({ leaseId, leaseToken }: Registered): Promise<void> {
    try {
      const transport = await this.#init.transport();
      const lease = { leaseId, leaseToken };
      await callUnary(transport, RelayService.method.unlisten, lease, { timeoutMs: answerTimeoutMs });
    } catch {
      // The lease has ended, or the relay cannot be reached: hanging up ends what there is to end.
      this.#abort.abort();
    }
  }

  #close(error: StreamError | undefined): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    const failed = state.kind === "ending" || state.kind === "idle" ? undefined : error;
    this.#state = { kind: "closed", name: "name" in state ? state.name : "", wasReady: state.kind === "listening" };
    for (const offered of [...this.#offers.values()]) offered.withdraw(failed ?? serverEndedError());
    this.#unclaimed.close(failed);
    this.#ready.reject(failed ?? serverEndedError());
    if (failed === undefined) this.#closed.resolve();
    else this.#closed.reject(failed);
    if (failed !== undefined) queueMicrotask(() => this.emit("error", failed));
    queueMicrotask(() => this.emit("close"));
  }
}

function offerGoneError(): StreamError {
  return new StreamError("the client has gone, or waited too long", { failure: Failure.OFFER_GONE, hop: Hop.PEER });
}

function serverEndedError(): StreamError {
  return new StreamError("the server was ended", { code: Code.Canceled, hop: Hop.CALLER });
}
