import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { Code, type Transport } from "@connectrpc/connect";
import type { ChannelRequest } from "../../gen/streamserver/v1/link_pb.js";
import { httpMetadata } from "../../http/link/stream-link.js";
import { isRefusedMethod } from "../../http/message/head.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Admitted } from "../admission/policy/authorize.js";
import { isGone, type NodeRequest, type NodeResponse } from "../http/node-server.js";
import type { Origins } from "../http/page/cors.js";
import type { PageAccess } from "../http/page/page-access.js";
import { endUnfinished } from "../http/request/answered-request.js";
import { requestCaller } from "../http/request/request-caller.js";
import { schemeOf } from "../http/request/request-urls.js";
import type { TrustedProxies } from "../http/request/trusted-proxies.js";
import { upgradeResponse } from "../http/upgrade-response.js";
import type { Relay } from "../relay/relay.js";
import { CallReport } from "./call-report.js";
import { cutOff } from "./failure-answer.js";
import { GatewayAnswers } from "./gateway-answers.js";
import { bodyTooLargeError, type GatewayCall } from "./gateway-call.js";
import { GatewayDoor } from "./gateway-door.js";
import type { CheckedGatewayOptions } from "./gateway-options.js";
import { GatewayStreams } from "./gateway-streams.js";
import { type GatewayRoute, type GatewayTarget, gatewayRoute } from "./gateway-target.js";
import { callListener, headTimeoutMsOf } from "./listener-call.js";
import { GatewaySockets } from "./socket/gateway-sockets.js";
import type { VisitRoute } from "./visit/visit-route.js";
import { Visits } from "./visit/visits.js";

export interface GatewayInit {
  options: CheckedGatewayOptions;
  /** Whether a host is one of the relay's own. */
  isOwnHost: (host: string) => boolean;
  /** The origins whose pages may use the relay. */
  origins: Origins;
  pages: PageAccess;
  proxies: TrustedProxies;
  /** Reaches the relay within the process, for a caller that was let in. */
  transportOf: (admitted: Admitted) => Transport;
}

/**
 * Brings requests of HTTP to the listeners of names, which serve HTTP over a stream, and WebSockets, which are streams.
 */
export class Gateway {
  readonly #relay: Relay;
  readonly #init: GatewayInit;
  readonly #streams: GatewayStreams;
  readonly #sockets: GatewaySockets;
  #state: "open" | "draining" = "open";
  readonly #door: GatewayDoor;
  readonly #answers: GatewayAnswers;
  /** Undefined where everybody may come and go. */
  readonly #visits: Visits | undefined;

  constructor(relay: Relay, init: GatewayInit) {
    this.#relay = relay;
    this.#init = init;
    this.#streams = new GatewayStreams({
      clock: relay.clock,
      grants: relay.admission.grants,
      transportOf: init.transportOf,
    });
    const isGuarded = relay.admission.hasPolicy || init.options.interstitial === true;
    this.#visits = isGuarded ? new Visits(relay, init) : undefined;
    this.#door = new GatewayDoor(relay, this.#visits);
    this.#sockets = new GatewaySockets(relay, this.#door, init);
    this.#answers = new GatewayAnswers({ ...init, warnings: relay.warnings });
  }

  /** Whether names are in hosts, each of them an origin of its own. */
  get isByHost(): boolean {
    return this.#init.options.by === "host";
  }

  /** Tells which listener a request is for; undefined if it is not for the gateway. */
  routeOf(request: NodeRequest): GatewayRoute | VisitRoute | undefined {
    return this.#visits?.routeOf(request) ?? gatewayRoute(request, this.#init.options, this.#init.isOwnHost);
  }

  /** Serves a request that {@link routeOf} has found a route for. Never throws. */
  handle(route: GatewayRoute | VisitRoute, request: NodeRequest, response: NodeResponse): void {
    // The caller may have hung up while middleware had the request.
    if (isGone(response)) return void request.resume();
    endUnfinished(response);
    if (route.kind === "visit") return this.#visits?.handle(route, request, response);
    if (route.kind === "refused") return this.#answers.plainly(request, response, route.status, route.message);
    if (route.kind === "moved") {
      response.setHeader("location", route.location);
      return this.#answers.plainly(request, response, 308, "The URL of a listener ends with a slash.");
    }
    if (isRefusedMethod(request.method ?? "")) {
      return this.#answers.plainly(request, response, 501, "The method is not served here.");
    }
    // By path a service worker of one listener would serve all of the others, and the relay.
    if (!this.isByHost && request.headers["service-worker"] !== undefined) {
      return this.#answers.plainly(request, response, 403, "No service worker is served here.");
    }
    // No policy can tell who calls by a preflight, which never carries a token.
    if (this.#relay.admission.hasPolicy && this.#answers.allowPreflight(request, response)) return;
    if (this.#visits?.isFirst(request)) return this.#visits.showFirst(route, request, response);
    void this.#call(route, request, response);
  }

  /**
   * Whether a request asks for a WebSocket of a listener. An upgrade to anything else is ignored, as RFC 9110, section
   * 7.8, allows: Java's HTTP client asks for one with its first request, whatever that is.
   */
  upgrades(request: IncomingMessage): boolean {
    return request.headers.upgrade?.toLowerCase() === "websocket" && this.routeOf(request) !== undefined;
  }

  /** Serves a request for which {@link upgrades} is true. Never throws. */
  upgrade(request: IncomingMessage, connection: Duplex, head: Buffer): void {
    const route = this.routeOf(request) as GatewayRoute | VisitRoute;
    if (route.kind === "refused" || route.kind === "visit")
      return this.handle(route, request, upgradeResponse(request, connection));
    // Clients of WebSockets follow no redirect.
    this.#sockets.upgrade(route.kind === "moved" ? route.target : route, request, connection, head);
  }

  /** Ends the streams without a call, and others with their last one, and closes the WebSockets with 1001. */
  drain(): void {
    this.#state = "draining";
    this.#streams.closeIdle();
    this.#sockets.close();
  }

  /** The channel of the call is closed when its other listeners have heard of it. */
  #onCallClosed(): void {
    if (this.#state === "draining") setImmediate(() => this.#streams.closeIdle());
  }

  /** Never rejects. */
  async #call(target: GatewayTarget, request: NodeRequest, response: NodeResponse): Promise<void> {
    const { limits, clock, admission } = this.#relay;
    const caller = requestCaller(request, "gateway", this.#init.proxies);
    const report = new CallReport(this.#relay, { name: target.name, method: request.method ?? "GET", caller });
    let call: GatewayCall | undefined;
    const leave = () => {
      if (call?.isOver !== true) report.leave();
    };
    // A request that is cut off is told of before its response, and ends the call.
    request.once("aborted", leave);
    response.once("close", () => {
      leave();
      report.end(response.headersSent ? response.statusCode : undefined, call?.bytes);
      this.#onCallClosed();
    });
    const fail = (error: StreamError) => {
      report.fail(error);
      if (!response.headersSent) this.#answers.failure(request, response, error);
      else cutOff(request, response);
    };
    try {
      const declaredBytes = Number(request.headers["content-length"] ?? 0);
      if (declaredBytes > limits.maxGatewayBodyBytes) throw bodyTooLargeError(limits.maxGatewayBodyBytes);
      const entrance = await this.#door.admit(target, request, caller, response, () => httpMetadata);
      const { admitted, token, dropsAuthorization } = entrance;
      report.caller = admitted.caller;
      // Its place is free by now, so it may not wait for a listener.
      if (isGone(response)) return;
      const timeoutMs = headTimeoutMsOf(request, limits.gatewayTimeoutMs);
      const stream = { name: target.name, admitted, token, timeoutMs, response };
      const open = (wire: ChannelRequest) => this.#streams.open(stream, wire);
      const scheme = schemeOf(request, this.#init.proxies);
      const held = { heldBytes: admission.heldBytes, caller: admitted.caller };
      const audience = admission.hasPolicy && token !== "" ? "caller" : "anybody";
      call = await callListener({
        target,
        scheme,
        request,
        response,
        dropsAuthorization,
        audience,
        open,
        fail,
        limits,
        clock,
        held,
      });
    } catch (reason) {
      if (!isGone(response)) fail(StreamError.from(reason, Code.Internal));
    }
  }
}
