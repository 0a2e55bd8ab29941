import { type Client, Code, createClient, type Transport } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { type Offer, type Registered, RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import { relayLost } from "../../link/failure-detail.js";
import { afterAwake, heartbeatsUntilLost } from "../../link/link-watch.js";
import type { Clock } from "../../stream/clock.js";
import type { Codec, RawInput, RawMessage } from "../../stream/codec.js";
import { Deferred } from "../../stream/deferred.js";
import { Emitter } from "../../stream/emitter.js";
import type { EndpointOptions } from "../../stream/endpoint.js";
import type { TransportKind } from "../../stream/leg.js";
import type { Stream } from "../../stream/stream.js";
import { StreamError } from "../../stream/stream-error.js";
import { carrierOf, relayOf, transportFailure, transportKind } from "../transport/carrier.js";
import { OfferStream } from "./offer-stream.js";
import { StreamQueue } from "./stream-queue.js";

/** Called for each client. What it returns, if a promise, may take its time to accept or reject. */
export type StreamCallback<Out, In> = (stream: Stream<Out, In>) => unknown;

export interface StreamServerOptions<Out = RawMessage, In = RawInput> extends EndpointOptions {
  /** Where the relay is under a base URL. Default "/browser-server". A transport has its own. */
  prefix?: string;
  /** What the messages are. Default: strings and bytes, as they were written. */
  codec?: Codec<Out, In>;
  /** Whether `List` and `Watch` show the name. Default false: only those who know it find it. */
  listed?: boolean;
}

export interface StreamServerEvents<Out, In> {
  /** How the relay was reached is known. "ready" follows. */
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
}

type ServerState =
  | { kind: "idle" }
  | { kind: "claiming" }
  | { kind: "listening"; registered: Registered; transport: TransportKind | undefined }
  | { kind: "ending" }
  | { kind: "closed" };

const unlistenTimeoutMs = 5_000;

/**
 * Listens on a name. Each client is a `Stream`, handed to the callback, to "stream", or to a `for await` over the server.
 *
 * - The first use of a stream accepts the client; so does the callback's return, or the end of the promise it returned.
 *   `stream.reject(code, reason)` before that declines it.
 * - `ready` resolves when the name is claimed, and rejects with FAILURE_NAME_TAKEN and what else can stand in the way.
 * - `closed` resolves after `end()`, and rejects if the server failed. Neither becomes an unhandled rejection.
 * - Whoever listens must `end()`. Streams live on.
 */
export class StreamServer<Out, In = Out>
  extends Emitter<StreamServerEvents<Out, In>>
  implements AsyncIterable<Stream<Out, In>>
{
  readonly #init: StreamServerInit<Out, In>;
  readonly #ready = new Deferred<void>();
  readonly #closed = new Deferred<void>();
  readonly #abort = new AbortController();
  readonly #offers = new Map<string, OfferStream<Out, In>>();
  readonly #unclaimed = new StreamQueue<Out, In>(() => this.end());
  #state: ServerState = { kind: "idle" };

  constructor(init: StreamServerInit<Out, In>) {
    super();
    this.#init = init;
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** How the relay was reached; undefined while the name is not claimed. Each stream says it for itself. */
  get transport(): TransportKind | undefined {
    return this.#state.kind === "listening" ? this.#state.transport : undefined;
  }

  /** Claims a name. Throws `failed_precondition` the second time: a server has one name. */
  listen(name: string): this {
    if (this.#state.kind !== "idle") {
      throw new StreamError("a stream server listens once: make another one", { code: Code.FailedPrecondition });
    }
    this.#state = { kind: "claiming" };
    void this.#run(name);
    return this;
  }

  /** Gives the name back. Resolves when it is free, or the relay is gone; never rejects. */
  async end(): Promise<void> {
    const state = this.#state;
    if (state.kind === "idle") this.#close(undefined);
    if (state.kind === "claiming") this.#abort.abort();
    if (state.kind === "claiming" || state.kind === "listening") this.#state = { kind: "ending" };
    if (state.kind === "listening") await this.#unlisten(state.registered);
    await this.#closed.promise.catch(() => {});
  }

  /** The clients that no callback takes. Leaving the loop ends the server. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Stream<Out, In>, undefined> {
    return this.#unclaimed.iterate();
  }

  async #run(name: string): Promise<void> {
    const { transport, listed, clock } = this.#init;
    let stopWatching = () => {};
    let carrier: Transport | undefined;
    try {
      carrier = await transport();
      const client = createClient(RelayService, carrier);
      for await (const { event } of client.listen({ name, listed }, { signal: this.#abort.signal, timeoutMs: 0 })) {
        if (event.case === "registered") {
          carrierOf(carrier).setHeartbeat?.(event.value.heartbeatIntervalMs);
          this.#onRegistered(event.value, transportKind(carrier));
        }
        if (event.case === "offer") this.#onOffer(event.value, client);
        else if (event.case === "withdrawn") this.#offers.get(event.value.streamId)?.withdraw(withdrawn());
        stopWatching();
        // A link has a watch of its own, and ends its calls.
        if (this.#state.kind === "listening" && this.#state.transport === "native") {
          const silenceMs = heartbeatsUntilLost * this.#state.registered.heartbeatIntervalMs;
          const lost = () => this.#abort.abort(relayLost(`${relayOf(carrier)} is silent`));
          stopWatching = afterAwake(clock, silenceMs, lost);
        }
      }
      this.#close(relayLost(`${relayOf(carrier)} ended the lease`));
    } catch (reason) {
      const { signal } = this.#abort;
      const error = transportFailure(reason, carrier, this.#state.kind === "listening");
      this.#close(signal.reason instanceof StreamError ? signal.reason : error);
    } finally {
      stopWatching();
      // The name is free when the call is over, however this side came to its end.
      this.#abort.abort();
    }
  }

  #onRegistered(registered: Registered, transport: TransportKind | undefined): void {
    if (this.#state.kind !== "claiming") return;
    this.#state = { kind: "listening", registered, transport };
    this.#ready.resolve();
    queueMicrotask(() => {
      if (transport !== undefined) this.emit("transport", transport);
      this.emit("ready");
    });
  }

  #onOffer(offer: Offer, client: Client<typeof RelayService>): void {
    const { streamId, legToken } = offer;
    const offered: OfferStream<Out, In> = new OfferStream({
      ...this.#init,
      offer,
      reject: (code, reason) => client.reject({ streamId, legToken, code, reason }, { timeoutMs: unlistenTimeoutMs }),
      onDecided: () => {
        this.#offers.delete(streamId);
        this.#unclaimed.remove(offered);
      },
    });
    this.#offers.set(streamId, offered);
    const { callback } = this.#init;
    if (callback === undefined && this.listenerCount("stream") === 0) return this.#unclaimed.push(offered);
    // In a microtask of its own, so that what the application throws is the application's.
    queueMicrotask(() => {
      try {
        this.emit("stream", offered.stream);
        const result = callback?.(offered.stream);
        if (!isPromise(result)) return offered.accept();
        result.then(
          () => offered.accept(),
          (reason: unknown) => {
            // A callback that reads until its stream fails has not failed itself.
            if (offered.endedBy(reason)) return;
            offered.stream.destroy(callbackFailed());
            throw reason;
          },
        );
      } catch (reason) {
        offered.stream.destroy(callbackFailed());
        throw reason;
      }
    });
  }

  async #unlisten({ leaseId, leaseToken }: Registered): Promise<void> {
    try {
      const client = createClient(RelayService, await this.#init.transport());
      await client.unlisten({ leaseId, leaseToken }, { timeoutMs: unlistenTimeoutMs });
    } catch {
      // The lease has ended, or the relay cannot be reached: hanging up ends what there is to end.
      this.#abort.abort();
    }
  }

  #close(error: StreamError | undefined): void {
    if (this.#state.kind === "closed") return;
    const failed = this.#state.kind === "ending" || this.#state.kind === "idle" ? undefined : error;
    this.#state = { kind: "closed" };
    for (const offered of [...this.#offers.values()]) offered.withdraw(withdrawn());
    this.#unclaimed.close(failed);
    this.#ready.reject(failed ?? new StreamError("the server was ended", { code: Code.Canceled, hop: Hop.CALLER }));
    if (failed === undefined) this.#closed.resolve();
    else this.#closed.reject(failed);
    if (failed !== undefined) queueMicrotask(() => this.emit("error", failed));
    queueMicrotask(() => this.emit("close"));
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function withdrawn(): StreamError {
  return new StreamError("the client has gone, or waited too long", { failure: Failure.OFFER_GONE, hop: Hop.PEER });
}

function callbackFailed(): StreamError {
  return new StreamError("the listener failed", { code: Code.Internal });
}
