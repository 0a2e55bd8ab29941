import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { ChannelRequest } from "../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../link/channel/channel.js";
import type { PeerLink } from "../../link/peer-link.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { afterTask } from "../../stream/platform/task.js";
import { unlessAborted } from "../../stream/platform/unless-aborted.js";
import type { StreamClientFactory } from "../../web/api/entry.js";
import type { StreamClientOptions } from "../../web/api/stream-client.js";
import type { TransportLike } from "../../web/transport/transports.js";
import { httpMetadata, linkStreamOptions, openLink } from "../link/stream-link.js";
import type { LinkStream } from "../link/stream-pipe.js";

/**
 * A stream without a call is ended after this time, which is the one that Node's own `fetch` keeps a connection for.
 * The listener then has as long again to finish its direction.
 */
const idleTimeoutMs = 4_000;
/** At 100 calls each, these carry 3,200 calls at once. */
const maxStreams = 32;
/** Calls that waited for the same stream may have taken all its room; then the call waits for another. */
const maxTries = 100;

/** Options of the streams to a listener. */
export interface ConnectingOptions extends Pick<StreamClientOptions, "prefix" | "token"> {
  /** How long to wait for a listener if nobody listens on the name, in milliseconds. Default: not at all. */
  waitForListenerMs?: number | undefined;
}

interface Connection {
  stream: LinkStream;
  link: PeerLink;
  stopIdling: () => void;
}

/**
 * The streams of a caller to one listener: one, which is opened for the first call and ended when it has been idle.
 * Another is opened when none has room.
 */
export class Connections {
  readonly #name: string;
  readonly #connect: () => LinkStream;
  readonly #clock: Clock;
  readonly #connections = new Set<Connection>();
  #opening: Promise<unknown> | undefined;

  constructor(name: string, connect: () => LinkStream, clock: Clock) {
    this.#name = name;
    this.#connect = connect;
    this.#clock = clock;
  }

  /** Opens a channel. Rejects with a `StreamError`, and with the signal's reason as soon as that is aborted. */
  async open(request: ChannelRequest, signal: AbortSignal | undefined): Promise<Channel> {
    for (let tries = 1; tries <= maxTries; tries += 1) {
      const free = [...this.#connections].find(({ link }) => link.hasRoom);
      if (free !== undefined) return free.link.open(request);
      await unlessAborted(this.#another(), signal);
    }
    throw fullError();
  }

  /** Ends the streams that have no call. Resolves when they have ended, and never rejects. */
  async close(): Promise<void> {
    const idle = [...this.#connections].filter(({ link }) => link.size === 0);
    for (const connection of idle) this.#connections.delete(connection);
    // The resets of calls that were given up in this task are sent before.
    await new Promise<void>(afterTask);
    for (const { link } of idle) link.closeIfIdle();
    await Promise.allSettled(idle.map(({ stream }) => stream.closed));
  }

  #another(): Promise<unknown> {
    if (this.#connections.size >= maxStreams) throw fullError();
    this.#opening ??= this.#openAnother().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #openAnother(): Promise<void> {
    const stream = this.#connect();
    const link = await openLink(stream, this.#name, this.#clock);
    const connection: Connection = { stream, link, stopIdling: () => {} };
    this.#connections.add(connection);
    link.onIdle = () => this.#idle(connection);
    void link.closed.then(() => {
      connection.stopIdling();
      this.#connections.delete(connection);
      // A listener that does not finish its direction would keep the stream open.
      this.#clock.after(idleTimeoutMs, () => stream.destroy(), false);
    });
    // The call that it was opened for may have been given up.
    this.#idle(connection);
  }

  #idle(connection: Connection): void {
    connection.stopIdling();
    // Calls may wait for the listener of a suspended stream, and have no channel yet. Its grace period ends it.
    const onLate = () =>
      connection.stream.state === "suspended" ? this.#idle(connection) : connection.link.closeIfIdle();
    connection.stopIdling = this.#clock.after(idleTimeoutMs, onLate, false);
  }
}

/** The streams to the listener of a name, at the relay behind a base URL or a Connect transport. */
export function connectionsTo(
  StreamClient: StreamClientFactory,
  transport: TransportLike,
  name: string,
  { waitForListenerMs, ...connecting }: ConnectingOptions,
  clock: Clock,
): Connections {
  const client = StreamClient(transport, { ...connecting, ...linkStreamOptions });
  return new Connections(name, () => client.connect(name, { metadata: httpMetadata, waitForListenerMs }), clock);
}

function fullError(): StreamError {
  const message = `all ${maxStreams} streams are full of calls`;
  return new StreamError(message, { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER });
}
