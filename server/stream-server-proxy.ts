import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { inspect, types } from "node:util";
import { linkProtocol } from "../link/packet/link-message.js";
import { type Codec, type RawInput, type RawMessage, rawCodec } from "../stream/codec.js";
import { checkOptions, objectWith } from "../stream/error/options.js";
import type { Stream } from "../stream/stream.js";
import { type ConnectOptions, connectOptions, openStream } from "../web/api/stream-client.js";
import { unheardLine } from "../web/api/unheard-error.js";
import { observeKeySet } from "./access/token-policy.js";
import { Admission } from "./admission/admission.js";
import { localCaller } from "./admission/caller.js";
import { described } from "./admission/known-options.js";
import type { RelayLimits } from "./admission/limits.js";
import type { Revocation } from "./admission/policy/revocations.js";
import { quoted, type RelayWarning, Warnings } from "./admission/warnings.js";
import { Gateway } from "./gateway/gateway.js";
import type { CheckedGatewayOptions } from "./gateway/gateway-options.js";
import { install, sendContinue } from "./http/install.js";
import type { NodeRequest, NodeResponse, NodeServer } from "./http/node-server.js";
import { type CorsFilter, createCorsFilter, type Origins } from "./http/page/cors.js";
import type { Hosts } from "./http/page/hosts.js";
import { PageAccess, type PageRefusal } from "./http/page/page-access.js";
import { pathOf } from "./http/request/request-urls.js";
import type { TrustedProxies } from "./http/request/trusted-proxies.js";
import { destroyIfUnanswered } from "./http/upgrade-response.js";
import { refuseUpgrade } from "./link/link-sockets.js";
import {
  checkedDrainTimeoutMs,
  checkedProxyOptions,
  type DrainOptions,
  type StreamServerProxyOptions,
} from "./proxy-options.js";
import type { LeaseEnd } from "./relay/lease/lease.js";
import { Relay } from "./relay/relay.js";
import { TokenSigner } from "./relay/token.js";
import { Routes } from "./routes.js";

/** A lease, as the events of its name describe it. */
export interface LeaseInfo {
  id: string;
  name: string;
  /** Whether `List` and `Watch` show the name. */
  listed: boolean;
}

/**
 * The events of a relay. A listener that throws, or whose promise rejects, harms neither the relay nor other listeners:
 * it is told as a warning. Warnings that nobody listens for go to standard error, a line each.
 */
export interface StreamServerProxyEvents {
  /** A listener has claimed a name. Each lease is created once and destroyed once. */
  "server.created": [name: string, lease: LeaseInfo];
  /** The `Listen` call of a lease broke. The name is kept for `graceMs`, for the listener to take it up again. */
  "server.suspended": [name: string, lease: LeaseInfo, graceMs: number];
  /** The listener has taken up its lease again. */
  "server.resumed": [name: string, lease: LeaseInfo];
  /** A lease has ended, and its name is free again. */
  "server.destroyed": [name: string, lease: LeaseInfo, reason: LeaseEnd];
  /** Another name for "server.created". */
  "server-created": [name: string, lease: LeaseInfo];
  /** Another name for "server.suspended". */
  "server-suspended": [name: string, lease: LeaseInfo, graceMs: number];
  /** Another name for "server.resumed". */
  "server-resumed": [name: string, lease: LeaseInfo];
  /** Another name for "server.destroyed". */
  "server-destroyed": [name: string, lease: LeaseInfo, reason: LeaseEnd];
  /** Trouble that the operator can do something about, each cause at most once a minute. */
  warning: [warning: RelayWarning];
}

/** How much a relay holds at this moment. All zero when nobody is connected. */
export interface RelayCounts {
  /** Names that are held, suspended ones included. */
  leases: number;
  /** Streams that wait for their listener, or for one to come. */
  offers: number;
  /** Accepted streams, those included that wait for an endpoint whose leg broke. */
  streams: number;
  /** Open `Connect` and `Accept` calls. */
  legs: number;
  links: number;
  channels: number;
  watchers: number;
}

/** The words for a person whose page may not use a relay. Its operator is told more by a warning. */
const refusalWords: Readonly<Record<PageRefusal["kind"], string>> = {
  "origin-refused": "Pages of this origin may not use this relay.",
  "host-refused": "This server does not go by this name. Its operator can add the name to its hosts.",
};

/** Returns the relay behind its public face, for those who watch it. */
export let relayOf: (proxy: RelayProxy) => Relay;
/** Returns the proxies that a relay trusts, for the port that it is served on. */
export let trustedProxiesOf: (proxy: RelayProxy) => TrustedProxies;
/** Returns the warnings of a relay, for the port that it is served on. */
export let warningsOf: (proxy: RelayProxy) => Warnings;
/**
 * Answers a request with 403 and returns true if it may be a page's, and by its Host is not for the server that the
 * relay is served on.
 */
export let refusesHost: (proxy: RelayProxy, request: NodeRequest, response: NodeResponse) => boolean;

class RelayProxy extends EventEmitter<StreamServerProxyEvents> {
  readonly prefixes: readonly string[];
  readonly limits: Readonly<RelayLimits>;
  readonly #relay: Relay;
  readonly #routes: Routes;
  readonly #trustedProxies: TrustedProxies;
  /** Undefined for a relay that has none. */
  readonly #gateway: Gateway | undefined;
  readonly #cors: CorsFilter;
  readonly #pages: PageAccess;
  readonly #warnings: Warnings;
  readonly #uninstalls = new Set<() => void>();

  static {
    trustedProxiesOf = (proxy) => proxy.#trustedProxies;
    relayOf = (proxy) => proxy.#relay;
    warningsOf = (proxy) => proxy.#warnings;
    refusesHost = (proxy, request, response) => {
      const refusal = proxy.#pages.hostRefusal(request);
      if (refusal !== undefined) proxy.#refuse(refusal, response);
      return refusal !== undefined;
    };
  }

  constructor(options?: string | StreamServerProxyOptions) {
    super();
    const { prefixes, origins, hosts, limits, tokenKeys, authorize, admin, trustedProxies, gateway, clock } =
      checkedProxyOptions(options);
    this.prefixes = prefixes;
    this.limits = limits;
    this.#warnings = new Warnings(clock, (warning) => this.#tell("warning", warning));
    const admission = new Admission({ limits, clock, warnings: this.#warnings, authorize, authorizeAdmin: admin });
    this.#relay = new Relay({ limits, clock, signer: new TokenSigner(tokenKeys), warnings: this.#warnings, admission });
    this.#routes = new Routes(this.#relay, { prefixes, proxies: trustedProxies, servesAdmin: admin !== undefined });
    this.#trustedProxies = trustedProxies;
    this.#cors = createCorsFilter(origins);
    this.#pages = new PageAccess(origins, hosts);
    this.#gateway = gateway && this.#newGateway(gateway, hosts, origins);
    for (const policy of new Set([authorize, admin])) {
      if (policy !== undefined) this.#uninstalls.add(this.#warnOfKeySet(policy));
    }
    this.#announceLeases();
  }

  /** Whether the relay takes new names and streams: true until {@link drain} or {@link close}. */
  get isReady(): boolean {
    return this.#relay.isOpen;
  }

  get counts(): RelayCounts {
    return { ...this.#relay.counts, ...this.#routes.counts };
  }

  /**
   * Puts the relay on a server: `http`, `https` or `http2`. Requests under the prefix are the relay's, before any
   * framework or body parser sees them; all others go to the server's own listeners, or get 404 where it has none. The
   * server stays the caller's to close. Throws a TypeError for anything that is no server.
   */
  install(server: NodeServer): this {
    if (typeof server?.emit !== "function" || typeof server.on !== "function") {
      throw new TypeError(
        `a relay is installed on a server of node:http, node:https or node:http2, not ${described(server)}`,
      );
    }
    const serves = (request: NodeRequest) =>
      this.#routes.serves(request) || this.#gateway?.routeOf(request) !== undefined;
    const upgrades = (request: IncomingMessage) =>
      this.#routes.upgrades(request) || this.#gateway?.upgrades(request) === true;
    const { limits, clock, warnings, admission } = this.#relay;
    const proxies = this.#trustedProxies;
    const handlers = { request: this.handler, serves, upgrade: this.upgrade, upgrades };
    this.#uninstalls.add(install(server, handlers, { limits, clock, warnings, admission, proxies }));
    return this;
  }

  /**
   * For Express and the like, where {@link install} is not possible: serves the relay's RPCs, and calls `next` for all
   * other requests, or answers them with 404. Belongs before body parsers. Where it is mounted at a path, the prefix is
   * the whole path, or the part of it after the mount path. Also hand the server's "upgrade" events to {@link upgrade}.
   */
  readonly handler = (request: NodeRequest, response: NodeResponse, next?: () => void): void => {
    const route = this.#gateway?.routeOf(request);
    if (route !== undefined) {
      const refusal = this.#pages.hostRefusal(request);
      if (refusal !== undefined && !this.#gateway?.isByHost) return this.#refuse(refusal, response);
      return this.#gateway?.handle(route, request, response);
    }
    if (!this.#routes.serves(request)) {
      if (next !== undefined) return next();
      this.#warnOfPath(request);
      response.statusCode = 404;
      response.end();
      return;
    }
    const refusal = this.#pages.requestRefusal(request);
    if (refusal !== undefined) return this.#refuse(refusal, response);
    const refusedPreflight = this.#pages.preflightRefusal(request);
    if (refusedPreflight !== undefined)
      this.#warnOfPage(refusedPreflight, "the preflight of a page that calls the relay was refused");
    sendContinue(request, response);
    this.#cors(request, response, () => this.#routes.handle(request, response));
  };

  /**
   * For a server that {@link install} was not called on: serves the WebSockets of the relay and its gateway. Hand it
   * the server's "upgrade" events. Calls `next` for all other requests, or answers them with 404. Without `next`, any
   * path may come before the prefix, as a framework has one before it that mounts {@link handler}.
   */
  readonly upgrade = (request: IncomingMessage, connection: Duplex, head: Buffer, next?: () => void): void => {
    if (this.#gateway?.upgrades(request)) {
      if (destroyIfUnanswered(request, connection)) return;
      const refusal = this.#pages.hostRefusal(request);
      if (refusal === undefined || this.#gateway.isByHost) return this.#gateway.upgrade(request, connection, head);
      return this.#refuseSocket(refusal, connection);
    }
    if (!this.#routes.upgrades(request, next === undefined ? "anywhere" : "at the root")) {
      if (next !== undefined) return next();
      if (request.headers["sec-websocket-protocol"]?.includes(linkProtocol)) this.#warnOfPath(request);
      return refuseUpgrade(connection, 404);
    }
    if (destroyIfUnanswered(request, connection)) return;
    const refusal = this.#pages.socketRefusal(request);
    if (refusal !== undefined) return this.#refuseSocket(refusal, connection);
    this.#routes.upgrade(request, connection, head);
  };

  /**
   * Connects to a name from this process, without a network, and returns the stream at once. Fails as `connect` of a
   * `StreamClient` does. The caller ends the stream.
   */
  connect(name: string, options?: ConnectOptions): Stream<RawMessage, RawInput>;
  connect<Out, In>(name: string, options: ConnectOptions & { codec: Codec<Out, In> }): Stream<Out, In>;
  connect(name: string, options: ConnectOptions & { codec?: Codec<unknown> } = {}): Stream<unknown> {
    return openStream({
      codec: rawCodec as Codec<unknown>,
      ...checkOptions("connect", options, { ...connectOptions, codec: objectWith("encode", "decode") }),
      name,
      transport: async () => this.#routes.localTransport,
      clock: this.#relay.clock,
      onUnheard: (what, error) => console.error(unheardLine(what, error, undefined)),
    });
  }

  /**
   * Takes access tokens back: ends the names, streams and watches that live by them at once, and lets them in no more;
   * nor do streams and names of theirs come back. A link ends within half of a second if the last call on it was let in
   * by one of them. What was revoked is kept as long as the relay lives, in this process alone.
   *
   * - `{ jti }` is the token with this id, `{ sub }` are the tokens of a subject that were made until now, or before
   *   `issuedBefore`, and `{ issuedBefore }` alone are all of them that were made before.
   * - Returns how many names, streams and watches were ended.
   * - Throws a TypeError for anything else, and FAILURE_LIMIT_REACHED if 100,000 tokens and subjects are revoked
   *   already.
   *
   * @example
   * proxy.revoke({ sub: "ann" });
   */
  revoke(revocation: Revocation): number {
    const ended = this.#relay.admission.grants.revoke(revocation);
    this.#relay.events.tell({ kind: "operator acted", act: "revoke", caller: localCaller, revocation });
    return ended;
  }

  /**
   * Leaves without cutting streams short, where they end in time.
   *
   * - New names, streams and links are refused with FAILURE_DRAINING at once, health checks are told NOT_SERVING, and
   *   {@link isReady} is false. Streams go on, and names that are held, links and watchers do not count. Listeners that
   *   can resume are told to take their names up where the relay's address leads now, and so are both endpoints of each
   *   stream that can be resumed, one stream after the other in the first half of the time.
   * - Resolves when no stream is left, or after `timeoutMs` (10,000 by default), and has then done what {@link close}
   *   does. A call of `close` meanwhile ends the wait.
   * - Rejects with a TypeError for an unknown option, and with a RangeError for a time that cannot be.
   */
  async drain(options?: DrainOptions): Promise<void> {
    const timeoutMs = checkedDrainTimeoutMs(options);
    this.#gateway?.drain();
    await this.#routes.drain(timeoutMs);
    this.close();
  }

  /**
   * Ends all leases, streams and links with FAILURE_DRAINING and takes the relay off its servers. A response that its
   * peer has not read to the end 5 s later is cut off, even that of a stream that had ended well before.
   */
  close(): void {
    this.#routes.close();
    for (const uninstall of this.#uninstalls) uninstall();
    this.#uninstalls.clear();
    this.#warnings.flush();
  }

  #newGateway(options: CheckedGatewayOptions, hosts: Hosts, origins: Origins): Gateway {
    return new Gateway(this.#relay, {
      options,
      isOwnHost: (host) => hosts !== "*" && hosts.includes(host),
      origins,
      pages: this.#pages,
      proxies: this.#trustedProxies,
      transportOf: (admitted) => this.#routes.localTransportOf(admitted),
    });
  }

  #warnOfKeySet(policy: object): () => void {
    return observeKeySet(policy, ({ message, error }) => {
      this.#warnings.warn({ kind: "key-set-troubled", error }, message);
    });
  }

  #announceLeases(): void {
    this.#relay.registry.observe((change) => {
      const { id, name, listed } = change.lease;
      const lease: LeaseInfo = { id, name, listed };
      if (change.kind === "destroyed") {
        this.#tell("server.destroyed", name, lease, change.end);
        this.#tell("server-destroyed", name, lease, change.end);
      } else if (change.kind === "suspended") {
        this.#tell("server.suspended", name, lease, this.limits.graceMs);
        this.#tell("server-suspended", name, lease, this.limits.graceMs);
      } else {
        this.#tell(`server.${change.kind}`, name, lease);
        this.#tell(`server-${change.kind}`, name, lease);
      }
    });
  }

  /** Tells the application in a turn of its own, because a listener may close the relay. */
  #tell<K extends keyof StreamServerProxyEvents>(event: K, ...args: StreamServerProxyEvents[K]): void {
    setImmediate(() => {
      const listeners = this.rawListeners(event);
      for (const listener of listeners) {
        // An async function returns its failure instead of throwing it.
        const call = async () => Reflect.apply(listener, this, args);
        void call().catch((error) => this.#onListenerFailed(event, error));
      }
      if (event === "warning" && listeners.length === 0) printWarning(args[0] as RelayWarning);
    });
  }

  #onListenerFailed(event: keyof StreamServerProxyEvents, error: unknown): void {
    const place = /^\s*at (.*)$/m.exec((error as Error | undefined)?.stack ?? "")?.[1];
    const words = types.isNativeError(error) ? `${error.name}: ${error.message}` : inspect(error);
    const message = `a listener of "${event}" failed: ${quoted(words)}${place === undefined ? "" : ` at ${place}`}`;
    // A warning about this one would fail as well.
    if (event === "warning") printWarning({ message });
    else this.#warnings.warn({ kind: "listener-failed", event, error }, message);
  }

  #refuse(refusal: PageRefusal, response: NodeResponse): void {
    this.#warnOfPage(refusal, "a request was refused with 403");
    response.statusCode = 403;
    response.setHeader("content-type", "text/plain; charset=utf-8");
    response.end(`${refusalWords[refusal.kind]}\n`);
  }

  #refuseSocket(refusal: PageRefusal, connection: Duplex): void {
    this.#warnOfPage(refusal, "a WebSocket was refused with 403");
    refuseUpgrade(connection, 403);
  }

  #warnOfPage({ kind, reason }: PageRefusal, what: string): void {
    this.#warnings.warn({ kind }, `${what}: ${reason}`);
  }

  #warnOfPath({ url = "" }: NodeRequest | IncomingMessage): void {
    // Strangers who try paths at random are not looking for the relay.
    if (!url.includes("/streamserver.v1.")) return;
    const prefixes = this.prefixes.map((prefix) => prefix || "/").join(" and ");
    this.#warnings.warn(
      { kind: "path-unknown" },
      `a caller asks for ${quoted(pathOf(url))}, but the relay is under ${prefixes}`,
    );
  }
}

function printWarning({ message }: { message: string }): void {
  console.error(`browser-stream-server: ${message}`);
}

export type StreamServerProxy = RelayProxy;

/**
 * Makes a relay, from a prefix or from options: it holds names, pairs a client with the listener of a name, and
 * forwards their streams. Serves Connect, gRPC and gRPC-Web. It does nothing until it is installed on a server;
 * `close()` ends what it holds. It is open by default: whoever reaches the server, from a program or from a page of the
 * server's own, may claim any name that is free and connect to any, unless `authorize` says otherwise. Throws a
 * TypeError for an unknown option or one of a wrong type, and a RangeError for a value that cannot be.
 *
 * @example
 * const proxy = StreamServerProxy({ prefix: "/browser-server", limits: { maxNames: 100 } }).install(server);
 * proxy.on("warning", ({ message }) => console.warn(message));
 */
export function StreamServerProxy(options?: string | StreamServerProxyOptions): StreamServerProxy {
  return new RelayProxy(options);
}
