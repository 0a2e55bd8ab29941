import { Code, type Transport } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { Offer, Registered } from "../../gen/streamserver/v1/relay_pb.js";
import { type Codec, encodeMessage, type RawInput, type RawMessage } from "../../stream/codec.js";
import type { EndpointOptions } from "../../stream/endpoint/endpoint-options.js";
import { type OptionType, primitive } from "../../stream/error/options.js";
import { isOwnCancel, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";
import { Emitter } from "../../stream/platform/emitter.js";
import { isWellFormed } from "../../stream/platform/well-formed.js";
import type { Stream } from "../../stream/stream.js";
import type { Suspension, TransportKind } from "../../stream/stream-life.js";
import { type OwnerKey, takeOwnerKey } from "../page/owner-key.js";
import { type AccessToken, sharedToken } from "./access-token.js";
import { type Broadcast, broadcast } from "./broadcast.js";
import { answerTimeoutMs, Lease } from "./lease.js";
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
  /**
   * A secret of the name's owner, at most 128 bytes of UTF-8. A server with the same key takes the name over at once,
   * also while the one that had it is listening, which then fails with FAILURE_FENCED. Default: in a page, with the URL
   * of a relay, a random key that this tab keeps for the name, so that a page that was loaded again gets its name back;
   * elsewhere, and with "" everywhere, no other server can take the name over.
   */
  ownerKey?: string | undefined;
  /**
   * The access token, for a relay that asks for one; or a function that gives one, or a promise of one within 10 s, and
   * that is asked again each time the name is claimed or taken up, and before a token expires that would end the
   * server or a stream that it has accepted, also after `end()`. Default none.
   */
  token?: AccessToken | undefined;
}

export interface StreamServerEvents<Out, In> {
  /** The relay has answered, and it is known how it was reached. "ready" follows. */
  transport: [kind: TransportKind];
  /** The name is claimed. */
  ready: [];
  /** A client. */
  stream: [stream: Stream<Out, In>];
  /**
   * The connection to the relay broke (`hop` is HOP_RELAY). The relay keeps the name for `graceMs` milliseconds,
   * clients that come wait there, and the server takes the name up again by itself: "resumed" follows, or "error".
   */
  suspended: [suspension: Suspension];
  /** The name is taken up again. */
  resumed: [];
  /** The server failed: the name is taken, or the relay is gone. "close" follows. */
  error: [error: StreamError];
  /** The name is free again. */
  close: [];
}

export interface StreamServerInit<Out, In> extends EndpointOptions {
  transport: () => Promise<Transport>;
  codec: Codec<Out, In>;
  listed: boolean;
  /** The URL of the relay, where it is known. */
  relayUrl?: string | undefined;
  ownerKey?: string | undefined;
  token?: AccessToken | undefined;
  /** Whether the name is taken up again after a connection broke, where the relay can do it too. */
  resumes: boolean;
  callback: StreamCallback<Out, In> | undefined;
  clock: Clock;
  /** Called with an error that nobody listens for, and with whose it is. */
  onUnheard: (what: string, error: StreamError) => void;
}

/** The longest `ownerKey`, in bytes of UTF-8, as the protocol has it. */
const maxOwnerKeyBytes = 128;

export const serverOptions: Record<keyof StreamServerOptions, OptionType> = {
  ...clientOptions,
  listed: primitive("boolean"),
  ownerKey: ["a well-formed string of at most 128 bytes of UTF-8", isOwnerKey],
};

/** A name that is claimed or being claimed, and the key with which this server is its owner. */
interface Claim {
  name: string;
  lease: Lease;
  ownerKey: OwnerKey;
}

type ServerState =
  | { kind: "idle" }
  | ({ kind: "claiming" } & Claim)
  | ({ kind: "listening"; transport: TransportKind | undefined } & Claim)
  | ({ kind: "suspended" } & Claim)
  | ({ kind: "ending" } & Claim)
  | { kind: "closed"; name: string; wasReady: boolean };

/** The states of a server. See {@link StreamServer.state}. */
export type StreamServerState = ServerState["kind"];

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
 * - A connection that breaks does not end the server: it keeps the name, its streams and the clients that wait, and
 *   tells of it with "suspended" and "resumed". It fails when the relay's grace period (120 s by default) is over.
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
  /** The offers about whose decision the relay has not heard, by stream id. */
  readonly #offers = new Map<string, OfferStream<Out, In>>();
  /** The stream ids of live streams. */
  readonly #accepted = new Set<string>();
  readonly #streams = new Set<Stream<Out, In>>();
  readonly #unclaimed = new StreamQueue<Out, In>(() => this.end());
  /** The promises that the application has asked for. */
  readonly #taken = new Set<"ready" | "closed">();
  /** Gives newer tokens for the streams, which outlive the name. */
  readonly #streamsToken: AccessToken | undefined;
  #state: ServerState = { kind: "idle" };

  constructor(init: StreamServerInit<Out, In>) {
    super();
    this.#init = init;
    this.#streamsToken = sharedToken(init.token, init.clock);
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

  /** How the relay was reached; undefined while the server is not listening. Each stream says it for itself. */
  get transport(): TransportKind | undefined {
    return this.#state.kind === "listening" ? this.#state.transport : undefined;
  }

  /**
   * The server's state.
   *
   * - "idle" before `listen`, "claiming" until `ready`, and then "listening".
   * - "suspended" while the connection to the relay is broken, which still keeps the name; see the event.
   * - "ending" from `end()` until the name is free, and "closed" when `closed` is settled.
   */
  get state(): StreamServerState {
    return this.#state.kind;
  }

  /**
   * Claims a name. A name that the relay cannot hold fails the server with FAILURE_NAME_INVALID. Throws
   * `failed_precondition` the second time: a server has one name.
   */
  listen(name: string): this {
    if (this.#state.kind !== "idle") {
      throw new StreamError("a stream server listens once: make another one", { code: Code.FailedPrecondition });
    }
    const error = nameError(name);
    if (error !== undefined) {
      this.#close(error, name);
      return this;
    }
    const { relayUrl, ownerKey: givenKey } = this.#init;
    const ownerKey = givenKey === undefined ? takeOwnerKey(relayUrl, name) : { value: givenKey, release() {} };
    const lease = new Lease(
      { ...this.#init, name, ownerKey: ownerKey.value },
      {
        onRegistered: (registered, transport) => this.#onRegistered(registered, transport),
        onSuspended: (graceMs) => this.#onSuspended(graceMs),
        onOffer: (offer, transport, graceMs) => this.#onOffer(offer, transport, graceMs),
        onWithdrawn: (streamId) => this.#offers.get(streamId)?.withdraw(offerGoneError()),
        onEnd: (error) => this.#close(error, name),
      },
    );
    this.#set({ kind: "claiming", name, lease, ownerKey });
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
   * FAILURE_LISTENER_GONE.
   *
   * - Resolves when the name is free, or when the relay has not answered for 5 s; it then frees the name when its grace
   *   period is over. Never rejects.
   */
  async end(): Promise<void> {
    const state = this.#state;
    if (state.kind === "idle") this.#close(undefined, "");
    else if (state.kind !== "ending" && state.kind !== "closed") {
      const { name, lease, ownerKey } = state;
      this.#set({ kind: "ending", name, lease, ownerKey });
      void lease.release(this.#decisionsTold());
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

  #onRegistered({ waitingStreamIds }: Registered, transport: TransportKind | undefined): void {
    const state = this.#state;
    // Offers that the relay holds no more, from before the lease was taken up again.
    for (const [streamId, offered] of [...this.#offers]) {
      if (!waitingStreamIds.includes(streamId)) offered.withdraw(offerGoneError());
    }
    if (state.kind === "ending" || state.kind === "closed" || state.kind === "idle") return;
    this.#set({ ...state, kind: "listening", transport });
    // A listener that throws ends its own turn, so each event has a turn of its own.
    if (state.kind === "claiming") {
      this.#ready.resolve();
      if (transport !== undefined) queueMicrotask(() => this.emit("transport", transport));
      queueMicrotask(() => this.emit("ready"));
    } else if (state.kind === "suspended") queueMicrotask(() => this.emit("resumed"));
  }

  #onSuspended(graceMs: number): void {
    if (this.#state.kind !== "listening") return;
    this.#set({ ...this.#state, kind: "suspended" });
    queueMicrotask(() => this.emit("suspended", { hop: Hop.RELAY, graceMs }));
  }

  #onOffer(offer: Offer, transport: Transport, graceMs: number): void {
    // A client that comes while the server ends is told by the relay.
    if (this.#state.kind !== "listening") return;
    const { name } = this.#state;
    const { streamId } = offer;
    // A lease that is taken up again announces all offers that wait, and a relay that lost a stream offers it anew.
    this.#offers.get(streamId)?.announceAgain({ offer, transport, graceMs });
    if (this.#offers.has(streamId) || this.#accepted.has(streamId)) return;
    const offered: OfferStream<Out, In> = new OfferStream({
      ...this.#init,
      offer,
      transport,
      graceMs,
      token: this.#streamsToken,
      onDecided: (decision) => {
        this.#unclaimed.remove(offered);
        if (decision !== "accepted") return;
        this.#streams.add(offered.stream);
        this.#accepted.add(streamId);
      },
      onOver: () => {
        this.#streams.delete(offered.stream);
        this.#accepted.delete(streamId);
      },
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

  #close(error: StreamError | undefined, name: string): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    const isEnded = state.kind === "ending" || error === undefined;
    const failed = isEnded ? undefined : error;
    this.#set({ kind: "closed", name, wasReady: state.kind === "listening" || state.kind === "suspended" });
    // The key is of use to the next claim in this tab, unless the name is free, or belongs to a newer server.
    if ("ownerKey" in state) state.ownerKey.release(!isEnded && error.failure !== Failure.FENCED);
    for (const offered of [...this.#offers.values()]) offered.withdraw(failed ?? serverEndedError());
    this.#unclaimed.close(failed);
    this.#ready.reject(failed ?? serverEndedError());
    if (failed === undefined) this.#closed.resolve();
    else this.#closed.reject(failed);
    if (failed !== undefined) queueMicrotask(() => this.emit("error", failed));
    queueMicrotask(() => this.emit("close"));
  }

  #set(state: ServerState): void {
    this.#state = state;
  }
}

function isOwnerKey(value: unknown): boolean {
  return isWellFormed(value) && new TextEncoder().encode(value).length <= maxOwnerKeyBytes;
}

function offerGoneError(): StreamError {
  return new StreamError("the client has gone, or waited too long", { failure: Failure.OFFER_GONE, hop: Hop.PEER });
}

function serverEndedError(): StreamError {
  return new StreamError("the server was ended", { code: Code.Canceled, hop: Hop.CALLER });
}
