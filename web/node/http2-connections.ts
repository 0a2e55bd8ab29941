import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Socket } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { answerTimeoutMs, defaultHeartbeatIntervalMs } from "../../link/link-watch.js";
import { relayAt, relayLostError, toConnectError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { RelayUrl } from "../transport/relay-url.js";
import { basicCredentials } from "./basic-credentials.js";
import { watchSession } from "./http2-watch.js";

/** Node's defaults of 64 KiB halve bulk throughput. */
const streamWindowBytes = 1_048_576;
const connectionWindowBytes = 4_194_304;
/** A server that speaks HTTP/2 says so as soon as it is connected to. */
const connectTimeoutMs = 10_000;
/** Proxies allow a connection 100 streams and more, so these are enough for all streams of a relay. */
const maxConnections = 100;
/** A request has this long to end after its response: its last bytes are on their way by then. */
const requestEndTimeoutMs = 1_000;
/** A call asks for another connection this often, because other calls that wait may take all the room of a new one. */
const maxTries = 2 * maxConnections;

export interface Http2ConnectionsInit {
  url: RelayUrl;
  clock: Clock;
  /** How long a connection without calls is kept for the next one, in milliseconds. */
  idleTimeoutMs: number;
}

/**
 * The HTTP/2 connections to a relay, for the calls of legs and for Connect's transport. A call takes the first
 * connection that has room, and another connection is opened where none has: the peer says how many calls a connection
 * may carry, and Node lets a call beyond them wait without a word. A connection that is idle does not keep the process
 * alive, and is closed after a while.
 */
export class Http2Connections {
  readonly authority: string;
  readonly #init: Http2ConnectionsInit;
  readonly #host: string;
  readonly #credentials: OutgoingHttpHeaders;
  readonly #connections = new Set<Http2Connection>();
  #opening: { connection: Promise<Http2Connection>; abort: AbortController } | undefined;
  /** The relay tells its own in the answer to `Listen`, `Connect` and `Accept`. */
  #heartbeatIntervalMs = defaultHeartbeatIntervalMs;

  constructor(init: Http2ConnectionsInit) {
    const { origin, host } = new URL(init.url.href);
    this.authority = origin;
    this.#init = init;
    this.#host = host;
    this.#credentials = basicCredentials(init.url);
  }

  /** Sets how often the relay says something, as it said itself. */
  setHeartbeat(intervalMs: number): void {
    if (intervalMs === 0 || intervalMs === this.#heartbeatIntervalMs) return;
    this.#heartbeatIntervalMs = intervalMs;
    for (const connection of this.#connections) connection.watch(intervalMs);
  }

  /** Connect's client calls it when bytes came. The watch counts the bytes of the socket by itself. */
  notifyResponseByteRead(): void {}

  /** Begins a call. Rejects with a `ConnectError`: FAILURE_LEG_LOST of HOP_RELAY, or FAILURE_LIMIT_REACHED. */
  async request(method: string, path: string, headers: OutgoingHttpHeaders): Promise<ClientHttp2Stream> {
    const all: OutgoingHttpHeaders = {
      ...headers,
      ...this.#credentials,
      ":method": method,
      ":path": path,
      // Node writes an IPv6 address there without its brackets.
      ":authority": this.#host,
    };
    for (let tries = 0; tries < maxTries; tries += 1) {
      for (const connection of this.#connections) {
        const stream = connection.request(all);
        if (stream !== undefined) return stream;
      }
      await this.#another();
    }
    throw noRoomError("other calls take all the room of each new connection");
  }

  /** Resolves when there is another connection, which has room. All calls that wait share it. */
  #another(): Promise<Http2Connection> {
    this.#opening ??= this.#beginOpening();
    return this.#opening.connection;
  }

  #beginOpening() {
    const abort = new AbortController();
    const connection = this.#open(abort.signal).finally(() => {
      if (this.#opening?.abort === abort) this.#opening = undefined;
    });
    return { connection, abort };
  }

  /**
   * Gives up a connection that is being opened, with `error`, and destroys connections whose peer answers no PING in
   * time.
   */
  doubt(error: StreamError): void {
    const opening = this.#opening;
    this.#opening = undefined;
    opening?.abort.abort(error);
    for (const connection of this.#connections) connection.ask();
  }

  async #open(signal: AbortSignal): Promise<Http2Connection> {
    const relay = relayAt(this.#init.url.href);
    if (this.#connections.size >= maxConnections)
      throw noRoomError(`all ${maxConnections} connections to ${relay} are full`);
    const { clock, idleTimeoutMs } = this.#init;
    const connection = await openConnection(this.authority, clock, relay, idleTimeoutMs, signal);
    if (!connection.hasRoom) {
      connection.end();
      throw noRoomError(`${relay} takes no calls on a new connection`);
    }
    this.#connections.add(connection);
    connection.onUnusable = () => this.#connections.delete(connection);
    connection.watch(this.#heartbeatIntervalMs);
    return connection;
  }
}

/** Resolves when the peer has said what it allows. Node tells the calls of a session why it failed later. */
async function openConnection(
  authority: string,
  clock: Clock,
  relay: string,
  idleTimeoutMs: number,
  signal: AbortSignal,
): Promise<Http2Connection> {
  const session = connect(authority, { settings: { initialWindowSize: streamWindowBytes } });
  let cancelDeadline = () => {};
  try {
    return await new Promise((resolve, reject) => {
      cancelDeadline = clock.after(connectTimeoutMs, () => reject(relayLostError(`${relay} does not answer`)));
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      session.on("error", reject);
      // Not every server says what is wrong with HTTP/2 before it hangs up.
      session.once("close", () => reject(new ConnectError(`${relay} closed the connection`, Code.Internal)));
      // A server may send its limits in a second frame of settings, but both are before the answer to a PING.
      const onConnect = () => {
        // Node emits "connect" also for a session that was destroyed meanwhile, whose `ping` throws.
        if (session.destroyed) return;
        session.ping((error) => (error ? reject(error) : resolve(new Http2Connection(session, clock, idleTimeoutMs))));
      };
      session.once("connect", onConnect);
    });
  } catch (reason) {
    session.destroy();
    throw reason instanceof StreamError ? toConnectError(reason) : reason;
  } finally {
    cancelDeadline();
  }
}

class Http2Connection {
  /** Called when the connection takes no more calls. */
  onUnusable = () => {};
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #idleTimeoutMs: number;
  #calls = 0;
  #stopWatching = () => {};
  #stopIdling = () => {};
  /** Defined while the peer's answer to a PING is waited for. */
  #stopAsking: (() => void) | undefined;

  constructor(session: ClientHttp2Session, clock: Clock, idleTimeoutMs: number) {
    this.#session = session;
    this.#clock = clock;
    this.#idleTimeoutMs = idleTimeoutMs;
    session.setLocalWindowSize(connectionWindowBytes);
    // `session.socket` refuses to be destroyed. The methods of the socket behind it return that socket.
    this.#socket = session.socket.once("close", () => {
      this.#stopWatching();
      this.#stopAsking?.();
    });
    session.once("goaway", () => this.#onUnusable());
    session.once("close", () => this.#onUnusable());
    this.#idle();
  }

  get hasRoom(): boolean {
    const { closed, destroyed, remoteSettings } = this.#session;
    // Without the setting there is no limit.
    return !closed && !destroyed && this.#calls < (remoteSettings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY);
  }

  /** Begins a call, unless there is no room for one. */
  request(headers: OutgoingHttpHeaders): ClientHttp2Stream | undefined {
    if (!this.hasRoom) return undefined;
    const stream = this.#session.request(headers);
    this.#stopIdling();
    if (this.#calls === 0) this.#session.ref();
    this.#calls += 1;
    let cancelDeadline = () => {};
    // A call is over with its response. A stream whose request goes on keeps the connection, and with it the process,
    // alive.
    stream.once("end", () => {
      cancelDeadline = this.#clock.after(requestEndTimeoutMs, () => stream.destroy(), false);
    });
    stream.once("close", () => {
      cancelDeadline();
      // The peer has no room, or is about to close, of which Node may tell only later.
      if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) this.onUnusable();
      this.#calls -= 1;
      if (this.#calls === 0) this.#idle();
    });
    return stream;
  }

  /** Ends the connection when nothing is heard for too long, by heartbeats of so many milliseconds. */
  watch(heartbeatIntervalMs: number): void {
    this.#stopWatching();
    this.#stopWatching = watchSession(
      this.#session,
      this.#socket,
      this.#clock,
      heartbeatIntervalMs,
      () => new Error("it is silent"),
    );
  }

  /**
   * Destroys the connection if nothing at all is heard soon, not even the answer to a PING. Asking again and again does
   * not postpone the answer.
   */
  ask(): void {
    if (this.#session.destroyed || this.#stopAsking !== undefined) return;
    const heardBytes = this.#socket.bytesRead;
    if (!this.#session.closed) this.#session.ping(() => {});
    const onLate = () => {
      this.#stopAsking = undefined;
      if (this.#socket.bytesRead > heardBytes) return;
      this.#session.destroy(new Error("it is silent"));
      this.#socket.destroy();
    };
    this.#stopAsking = this.#clock.after(answerTimeoutMs, onLate, false);
  }

  end(): void {
    this.#stopIdling();
    this.#session.close();
  }

  #idle(): void {
    if (this.#session.destroyed) return;
    this.#session.unref();
    this.#stopIdling = this.#clock.after(this.#idleTimeoutMs, () => this.end(), false);
  }

  #onUnusable(): void {
    this.#stopIdling();
    this.onUnusable();
  }
}

function noRoomError(message: string): unknown {
  return toConnectError(new StreamError(message, { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER }));
}
