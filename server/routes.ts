import { type IncomingMessage, maxHeaderSize } from "node:http";
import type { Duplex } from "node:stream";
import { Code, createConnectRouter, type Transport } from "@connectrpc/connect";
import {
  createUniversalHandlerClient,
  type UniversalClientFn,
  type UniversalHandler,
  type UniversalServerRequest,
} from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { Health as HealthService } from "../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.js";
import { AdminService } from "../gen/streamserver/v1/admin_pb.js";
import { Hop } from "../gen/streamserver/v1/failure_pb.js";
import { LinkService } from "../gen/streamserver/v1/link_pb.js";
import { RelayService } from "../gen/streamserver/v1/relay_pb.js";
import { Health } from "../http/service/health.js";
import { healthRoutes } from "../http/service/health-routes.js";
import { Reflection } from "../http/service/reflection.js";
import { reflectionRoutes } from "../http/service/reflection-routes.js";
import { withShortTimeout } from "../http/service/short-timeout.js";
import { linkSendPath, linkSocketPath } from "../link/packet/link-message.js";
import { createRpcTransport } from "../link/rpc-transport.js";
import { toConnectError } from "../stream/error/failure-detail.js";
import { StreamError } from "../stream/error/stream-error.js";
import { setTransportFacts } from "../web/transport/transport-facts.js";
import { Survey } from "./admin/survey.js";
import type { Admitted } from "./admission/policy/authorize.js";
import { quoted } from "./admission/warnings.js";
import { CallTurns } from "./http/call-turns.js";
import { retireSession } from "./http/http2-sessions.js";
import { isGone, type NodeRequest, type NodeResponse } from "./http/node-server.js";
import { answerTimeoutMs, closeTimeoutMs, OpenResponses } from "./http/open-responses.js";
import { ClientFiles } from "./http/page/client-files.js";
import { OperatorPage } from "./http/page/operator-page.js";
import { closeIfUnfinished, dropRequest, refuseSilently } from "./http/request/answered-request.js";
import { parsedBody } from "./http/request/request-body.js";
import { requestCaller } from "./http/request/request-caller.js";
import { pathOf, urlsOf } from "./http/request/request-urls.js";
import { TimedBody } from "./http/request/timed-body.js";
import type { TrustedProxies } from "./http/request/trusted-proxies.js";
import { writeResponse } from "./http/write-response.js";
import { LinkRoutes } from "./link/link-routes.js";
import { LinkSockets } from "./link/link-sockets.js";
import { Links, type LinksInit } from "./link/links.js";
import { Directory } from "./relay/directory.js";
import type { Relay } from "./relay/relay.js";
import { adminRoutes } from "./rpc/admin-routes.js";
import { CallPlaces } from "./rpc/call-places.js";
import { callerValues, expectEnd } from "./rpc/caller.js";
import { admitHealthWatch } from "./rpc/health-watch.js";
import { serveChannelLeg } from "./rpc/leg/channel-leg.js";
import { serveHttp2Leg } from "./rpc/leg/http2-leg.js";
import { type LegRpc, legRpcByPath } from "./rpc/leg/leg-rpc.js";
import { localLegCaller } from "./rpc/leg/local-leg.js";
import { relayRoutes } from "./rpc/relay-routes.js";
import { RequestControl } from "./rpc/request-control.js";
import { requestGate } from "./rpc/request-gate.js";

/**
 * The relay compresses no response: streams are often compressed already, and compressing took most of a relay's time.
 */
const noCompression = { acceptCompression: [], compressMinBytes: Number.MAX_SAFE_INTEGER };
/** The URL under which the handlers of this process are called. Its host is never resolved. */
const localBaseUrl = "http://local";
/** The time that a request of one message has, as a multiple of `openTimeoutMs`, however small it is. */
export const openTimeoutsForBody = 2;
/** The deadlines of requests are spread over this share of themselves. */
const maxSpread = 0.2;
const openServices = [RelayService, LinkService, HealthService, ServerReflection];
const packageNames = new Set(openServices.map(({ file }) => file.proto.package));

export interface RoutesInit {
  prefixes: readonly string[];
  proxies: TrustedProxies;
  /** Whether operators are served. The relay's policy says who is one. */
  servesAdmin: boolean;
}

/** The relay's RPCs: for Node's servers, for links, and for this process. */
export class Routes {
  /** Reaches the relay without a network. */
  readonly localTransport: Transport;
  readonly #relay: Relay;
  /** Calls the RPCs of this process. */
  readonly #innerClient: UniversalClientFn;
  readonly #proxies: TrustedProxies;
  /** The beginnings of the URLs of the relay's RPCs. */
  readonly #roots: readonly string[];
  /** The files beside the RPCs. */
  readonly #files: readonly (ClientFiles | OperatorPage)[];
  readonly #directory: Directory;
  readonly #health: Health;
  readonly #links: Links;
  readonly #sockets: LinkSockets;
  readonly #responses: OpenResponses;
  readonly #places: CallPlaces;
  readonly #turns = new CallTurns();
  readonly #socketPaths: ReadonlySet<string>;
  /** The RPCs whose legs are served without decoding them, by path. */
  readonly #legs: ReadonlyMap<string, LegRpc>;
  readonly #handlers: ReadonlyMap<string, UniversalHandler>;
  /** Undefined for a relay that serves no `AdminService`. */
  readonly #survey: Survey | undefined;

  constructor(relay: Relay, { prefixes, proxies, servesAdmin }: RoutesInit) {
    this.#relay = relay;
    this.#proxies = proxies;
    this.#roots = prefixes.flatMap((prefix) => [...packageNames].map((name) => `${prefix}/${name}.`));
    this.#files = [new ClientFiles(prefixes), ...(servesAdmin ? [new OperatorPage(prefixes)] : [])];
    this.#directory = new Directory(relay);
    const services = servesAdmin ? [...openServices, AdminService] : openServices;
    this.#health = new Health(services.map(({ typeName }) => typeName));
    const inner = createConnectRouter({ ...noCompression, requestGate });
    relayRoutes(inner, relay, this.#directory);
    const { limits, clock, signer, admission, events } = relay;
    const serveChannel: LinksInit["serveChannel"] = (...channel) => serveChannelLeg(relay, ...channel);
    this.#links = new Links({ limits, clock, signer, admission, events, handlers: inner.handlers, serveChannel });
    this.#responses = new OpenResponses(clock);
    this.#places = new CallPlaces(relay, this.#responses);
    this.#sockets = new LinkSockets(this.#links, relay);
    this.#socketPaths = new Set(prefixes.map((prefix) => prefix + linkSocketPath));
    this.#innerClient = createUniversalHandlerClient(inner.handlers);
    this.localTransport = this.localTransportOf(undefined);
    const outer = createConnectRouter({ ...noCompression, requestGate });
    relayRoutes(outer, relay, this.#directory);
    new LinkRoutes(this.#links, relay).register(outer);
    healthRoutes(outer, this.#health, admitHealthWatch(relay));
    this.#survey = servesAdmin ? new Survey(relay, () => this.counts) : undefined;
    if (this.#survey !== undefined) adminRoutes(outer, relay, this.#survey);
    reflectionRoutes(outer, new Reflection(services), relay.clock, expectEnd);
    this.#legs = new Map(prefixes.flatMap((prefix) => [...legRpcByPath].map(([path, rpc]) => [prefix + path, rpc])));
    this.#handlers = new Map(
      prefixes.flatMap((prefix) => outer.handlers.map((handler) => [prefix + handler.requestPath, handler])),
    );
  }

  /** Reaches the relay without a network, for a caller that was let in; undefined is this process itself. */
  localTransportOf(admitted: Admitted | undefined): Transport {
    const transport = createRpcTransport({ httpClient: this.#innerClient, baseUrl: localBaseUrl });
    const callLeg = localLegCaller(this.#relay, admitted);
    setTransportFacts(transport, { kind: () => "native", callLeg, isLocal: true });
    return transport;
  }

  get counts(): { links: number; channels: number; watchers: number } {
    return { ...this.#links.counts, watchers: this.#directory.watchers + this.#health.watchers };
  }

  /** Whether a request is for the relay. */
  serves(request: NodeRequest): boolean {
    return urlsOf(request).some((url) => this.#roots.some((root) => url.startsWith(root)) || this.#isFile(pathOf(url)));
  }

  #isFile(path: string): boolean {
    return this.#files.some((files) => files.serves(path));
  }

  /**
   * Whether a request can become the WebSocket of a link: one for a path of the relay, or for one that ends like it.
   */
  upgrades(request: IncomingMessage, where: "at the root" | "anywhere" = "at the root"): boolean {
    const paths = urlsOf(request).map(pathOf);
    if (where === "at the root") return paths.some((path) => this.#socketPaths.has(path));
    return [...this.#socketPaths].some((end) => paths.some((path) => path.endsWith(end)));
  }

  /** Serves a request for which {@link upgrades} is true. */
  upgrade(request: IncomingMessage, connection: Duplex, head: Buffer): void {
    this.#sockets.upgrade(request, connection, head, requestCaller(request, "websocket", this.#proxies));
  }

  /**
   * Serves a request for which {@link serves} is true. Never throws: a peer that hangs up is no error of the relay's,
   * and the RPC has heard of it by its signal.
   */
  handle(request: NodeRequest, response: NodeResponse): void {
    const session = "stream" in response ? response.stream.session : undefined;
    const begin = () => void this.#handle(request, response);
    if (session === undefined) begin();
    else void this.#turns.run(session, begin);
  }

  /** Never rejects. */
  async #handle(request: NodeRequest, response: NodeResponse): Promise<void> {
    const paths = urlsOf(request).map(pathOf);
    for (const files of this.#files) {
      const filePath = paths.find((path) => files.serves(path));
      if (filePath === undefined) continue;
      if (!this.#places.holdAnswer(requestCaller(request, "http", this.#proxies), response)) {
        return refuseSilently(response);
      }
      return files.handle(filePath, request, response);
    }
    const handler = paths.map((path) => this.#handlers.get(path)).find((found) => found !== undefined);
    if (handler === undefined) {
      this.#warnOfPath(paths, request);
      response.statusCode = 404;
      response.end();
      return;
    }
    // If the caller hung up while middleware had the request, "close" does not come again.
    if (isGone(response)) return void request.resume();
    // The address of the relay may lead to another one by now, and calls over this connection are refused.
    if (!this.#relay.isOpen) retireSession(response);
    if (headBytesOf(request) > maxHeaderSize) {
      response.statusCode = 431;
      response.end();
      return;
    }
    this.#responses.add(response);
    closeIfUnfinished(response);
    const rpc = paths.map((path) => this.#legs.get(path)).find((found) => found !== undefined);
    try {
      const caller = requestCaller(request, "http", this.#proxies);
      const opening = this.#places.holdCall(handler, caller, response);
      const isRefused = opening instanceof StreamError;
      if (isRefused && !this.#places.hasRoomToRefuse) return refuseSilently(response);
      repairAuthority(request);
      forbidTransforms(response);
      const control = new RequestControl(this.#responses, request, response, isRefused ? undefined : opening);
      if (!isRefused && rpc !== undefined && serveHttp2Leg(this.#relay, rpc, caller, control, request, response))
        return;
      const values = callerValues(caller, request, control);
      if (isRefused) this.#places.refuse(values, opening, response);
      const universal = universalRequestFromNodeRequest(request, response, undefined, values);
      if (paths.some((path) => path.endsWith(linkSendPath))) readTextAsJson(universal.header);
      const parsed = parsedBody(request, () => this.#lostBodyError(request));
      const body = parsed ?? (hasOneMessage(handler) ? this.#timedBody(universal.body, response) : universal.body);
      const answer = await handler({ ...universal, header: withShortTimeout(universal.header), body });
      if (handler.method.methodKind === "unary") this.#responses.expectEnd(response, answerTimeoutMs);
      await writeResponse(answer, response);
    } catch (error) {
      this.#onFailure(error, response);
    }
  }

  /** A request of one message may not come as slowly as its caller likes. A request of many is its handler's to end. */
  #timedBody(body: UniversalServerRequest["body"], response: NodeResponse): UniversalServerRequest["body"] {
    if (typeof body !== "object" || body === null || !(Symbol.asyncIterator in body)) return body;
    const { clock, limits } = this.#relay;
    const onLate = () => {
      dropRequest(response);
      this.#responses.expectEnd(response);
    };
    // A thousand callers that came at once do not end in one turn of the event loop.
    const timeoutMs = openTimeoutsForBody * limits.openTimeoutMs * (1 + maxSpread * Math.random());
    return new TimedBody(body, { clock, timeoutMs, onLate });
  }

  /** Breaks off a response that has begun, so that its peer notices; answers with 500 if it has not. */
  #onFailure(error: unknown, response: NodeResponse): void {
    if (response.headersSent || response.destroyed) return void response.destroy();
    const message = `a request failed before its handler had it: ${quoted(StreamError.from(error).message)}`;
    this.#relay.warnings.warn({ kind: "request-failed", error }, message);
    response.statusCode = 500;
    response.end();
  }

  #warnOfPath(paths: readonly string[], { url, headers }: NodeRequest): void {
    const { warnings, isOpen } = this.#relay;
    // A relay that leaves is taken off its servers before their ports are closed.
    if (!isOpen) return;
    if (!paths.some((path) => this.#socketPaths.has(path))) {
      return warnings.warn(
        { kind: "path-unknown" },
        `a caller asks for ${quoted(pathOf(url ?? ""))}, which is no RPC of the relay`,
      );
    }
    const reason =
      headers.upgrade === undefined
        ? "it came without an Upgrade header: have the proxy pass Upgrade and Connection on"
        : 'the handler cannot open one: hand the server\'s "upgrade" events to the relay, or install it on the server';
    warnings.warn({ kind: "handshake-refused" }, `a WebSocket was refused with 404: ${reason}`);
  }

  #lostBodyError({ url }: NodeRequest): Error {
    const message = "a body parser in front of the relay has read the body of the request";
    const help = `put the relay before the parser, or install it on the server; the path is ${quoted(pathOf(url ?? ""))}`;
    this.#relay.warnings.warn({ kind: "body-read" }, `${message}: ${help}`);
    return toConnectError(new StreamError(message, { code: Code.FailedPrecondition, hop: Hop.RELAY }));
  }

  /**
   * Refuses everything new, tells the watchers of health, and tells endpoints that can resume to leave, spread over the
   * first half of the time. Resolves when the streams are over, when `timeoutMs` have passed, or when the relay is
   * closed. Never rejects.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.#health.stop();
    this.#links.refuse(this.#relay.drain(timeoutMs));
    await new Promise<void>((resolve) => {
      const cancelDeadline = this.#relay.clock.after(timeoutMs, resolve);
      void this.#relay.idle(closeTimeoutMs).then(() => {
        cancelDeadline();
        resolve();
      });
    });
  }

  /** Ends the relay, with everything that hangs on it. */
  close(): void {
    this.#health.stop();
    this.#links.close(this.#relay.close());
    this.#directory.close();
    this.#survey?.close();
    this.#responses.close();
  }
}

/**
 * Keeps compressing middleware and proxies from holding back a response that streams, and from compressing data that is
 * compressed already.
 */
function forbidTransforms(response: NodeResponse): void {
  const before = response.getHeader("cache-control");
  response.setHeader("cache-control", before === undefined ? "no-transform" : `${before}, no-transform`);
}

/** A page that is left can send no more than text to another origin, in the JSON of its goodbye. */
function readTextAsJson(header: Headers): void {
  if (header.get("content-type")?.startsWith("text/plain")) header.set("content-type", "application/json");
}

/**
 * Replaces an authority that is missing or malformed: nothing depends on it, but Connect builds a URL from it. Node's
 * own HTTP/2 client sends an IPv6 address without its brackets.
 */
function repairAuthority({ headers }: NodeRequest): void {
  const name = ":authority" in headers ? ":authority" : "host";
  if (!URL.canParse(`http://${headers[name]}/`)) headers[name] = "localhost";
}

/** HTTP/2 takes heads of 64 KiB and keeps them as long as their calls. Node's own limit is that of HTTP/1.1. */
function headBytesOf({ rawHeaders }: NodeRequest): number {
  let bytes = 0;
  for (const text of rawHeaders) bytes += text.length;
  return bytes;
}

function hasOneMessage({ method }: UniversalHandler): boolean {
  return method.methodKind === "unary" || method.methodKind === "server_streaming";
}
