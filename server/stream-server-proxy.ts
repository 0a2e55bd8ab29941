import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "../stream/clock.js";
import { type Codec, type RawInput, type RawMessage, rawCodec } from "../stream/codec.js";
import type { Stream } from "../stream/stream.js";
import { systemClock } from "../stream/system-clock.js";
import { type ConnectOptions, openStream } from "../web/api/stream-client.js";
import { type CorsFilter, checkOrigins, createCorsFilter, mayOpenSocket, type Origins } from "./http/cors.js";
import { install } from "./http/install.js";
import type { NodeRequest, NodeResponse, NodeServer } from "./http/node-server.js";
import { refuseUpgrade } from "./link/link-sockets.js";
import type { LeaseEnd } from "./relay/lease.js";
import { checkLimits, defaultLimits, type RelayLimits } from "./relay/limits.js";
import { Relay } from "./relay/relay.js";
import { TokenSigner } from "./relay/token.js";
import { Routes } from "./routes.js";

export interface StreamServerProxyOptions {
  /**
   * The path that everything of the relay is under. Default "/browser-server"; "" for none. With several, the same relay is
   * under each: gRPC's own libraries know no prefix, so they need "".
   */
  prefix?: string | readonly string[];
  /** Pages of which origins may use the relay, beside those that it serves itself. Default none; "*" is all. */
  origins?: Origins;
  /** What the relay allows; where it says nothing, {@link defaultLimits}. */
  limits?: Partial<RelayLimits>;
  /** Signs the tokens; at least 32 bytes. Relays that share it know each other's tokens. Default random. */
  key?: Uint8Array;
  /** Default the system's. */
  clock?: Clock;
}

/** What the events of a name carry. */
export interface LeaseInfo {
  id: string;
  name: string;
  /** Whether `List` and `Watch` show the name. */
  listed: boolean;
}

export interface StreamServerProxyEvents {
  "server.created": [name: string, lease: LeaseInfo];
  "server.destroyed": [name: string, lease: LeaseInfo, reason: LeaseEnd];
  "server-created": [name: string, lease: LeaseInfo];
  "server-destroyed": [name: string, lease: LeaseInfo, reason: LeaseEnd];
}

/** How much a relay holds at this moment. All zero when nobody is connected. */
export interface RelayCounts {
  leases: number;
  /** Streams that wait for their listener. */
  offers: number;
  streams: number;
  /** Open `Connect` and `Accept` calls. */
  legs: number;
  links: number;
  channels: number;
  watchers: number;
}

const minKeyBytes = 32;

class RelayProxy extends EventEmitter<StreamServerProxyEvents> {
  readonly prefixes: readonly string[];
  readonly limits: Readonly<RelayLimits>;
  readonly #relay: Relay;
  readonly #routes: Routes;
  readonly #cors: CorsFilter;
  readonly #origins: Origins;
  readonly #uninstalls = new Set<() => void>();

  constructor(options: string | StreamServerProxyOptions = {}) {
    super();
    const {
      prefix = "/browser-server",
      origins = [],
      limits,
      key,
      clock = systemClock,
    } = typeof options === "string" ? { prefix: options } : options;
    if (key !== undefined && key.byteLength < minKeyBytes)
      throw new RangeError(`a key has ${minKeyBytes} bytes or more`);
    this.prefixes = [prefix].flat().map(normalizePrefix);
    this.limits = { ...defaultLimits, ...limits };
    checkLimits(this.limits);
    checkOrigins(origins);
    this.#relay = new Relay({ limits: this.limits, clock, signer: new TokenSigner(key) });
    this.#routes = new Routes(this.#relay, this.prefixes);
    this.#cors = createCorsFilter(origins);
    this.#origins = origins;
    this.#announceLeases();
  }

  get counts(): RelayCounts {
    return { ...this.#relay.counts, ...this.#routes.counts };
  }

  /**
   * Puts the relay on a server: `http`, `https` or `http2`. Requests under the prefix are the relay's; all others go to the
   * server's own listeners, or get 404 where it has none. The server stays the caller's to close.
   */
  install(server: NodeServer): this {
    const serves = ({ url }: NodeRequest) => this.#routes.serves(url);
    const upgrades = ({ url }: IncomingMessage) => this.#routes.upgrades(url);
    const handlers = { request: this.handler, serves, upgrade: this.upgrade, upgrades };
    this.#uninstalls.add(install(server, handlers, this.limits, this.#relay.clock));
    return this;
  }

  /** For Express and the like: serves the relay's RPCs under the prefix; calls `next` for the rest, or answers 404. */
  readonly handler = (request: NodeRequest, response: NodeResponse, next?: () => void): void => {
    if (!this.#routes.serves(request.url)) {
      if (next !== undefined) return next();
      response.statusCode = 404;
      response.end();
      return;
    }
    this.#cors(request, response, () => void this.#routes.handle(request, response));
  };

  /**
   * For a server that {@link install} was not called on: serves the relay's WebSocket under the prefix. Hand it the server's
   * "upgrade" events. Calls `next` for the rest, or answers 404.
   */
  readonly upgrade = (request: IncomingMessage, connection: Duplex, head: Buffer, next?: () => void): void => {
    if (!this.#routes.upgrades(request.url)) {
      if (next !== undefined) return next();
      return refuseUpgrade(connection, 404);
    }
    if (!mayOpenSocket(request, this.#origins)) return refuseUpgrade(connection, 403);
    this.#routes.upgrade(request, connection, head);
  };

  /** Connects to a name from this process, through the same routes as everybody. See `StreamClient`. */
  connect(name: string, options?: ConnectOptions): Stream<RawMessage, RawInput>;
  connect<Out, In>(name: string, options: ConnectOptions & { codec: Codec<Out, In> }): Stream<Out, In>;
  connect(name: string, options: ConnectOptions & { codec?: Codec<unknown> } = {}): Stream<unknown> {
    const codec = options.codec ?? (rawCodec as Codec<unknown>);
    return openStream({
      ...options,
      codec,
      name,
      transport: async () => this.#routes.localTransport,
      clock: this.#relay.clock,
    });
  }

  /**
   * Ends all leases, streams and links with FAILURE_DRAINING and takes the relay off its servers. What a peer has not read 5 s
   * later is cut off, even of a stream that had ended well before.
   */
  close(): void {
    this.#routes.close();
    for (const uninstall of this.#uninstalls) uninstall();
    this.#uninstalls.clear();
  }

  #announceLeases(): void {
    this.#relay.registry.observe((change) => {
      const { id, name, listed } = change.lease;
      const lease: LeaseInfo = { id, name, listed };
      // In a turn of its own: what a listener throws is the application's affair and not the RPC's.
      setImmediate(() => {
        if (change.kind === "created") {
          this.emit("server.created", name, lease);
          this.emit("server-created", name, lease);
        } else {
          this.emit("server.destroyed", name, lease, change.end);
          this.emit("server-destroyed", name, lease, change.end);
        }
      });
    });
  }
}

export type StreamServerProxy = RelayProxy;

/**
 * Makes a relay, from a prefix or from options: it holds names, pairs a client with the listener of a name, and forwards their
 * streams. Serves Connect, gRPC and gRPC-Web. It does nothing until it is installed on a server; `close()` ends what it holds.
 */
export function StreamServerProxy(options?: string | StreamServerProxyOptions): StreamServerProxy {
  return new RelayProxy(options);
}

function normalizePrefix(prefix: string): string {
  const trimmed = prefix.replace(/\/+$/, "");
  const path = trimmed === "" || trimmed.startsWith("/") ? trimmed : `/${trimmed}`;
  if (new URL(`http://localhost${path}`).pathname !== (path || "/")) {
    throw new RangeError(`a prefix is a path, and ${JSON.stringify(prefix)} is none`);
  }
  return path;
}
