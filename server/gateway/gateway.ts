import { create } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { ChannelRequest } from "../../gen/streamserver/v1/link_pb.js";
import { OpenSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { httpMetadata } from "../../http/link/stream-link.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Admitted } from "../admission/authorize.js";
import type { Caller } from "../admission/caller.js";
import type { NodeRequest, NodeResponse } from "../http/node-server.js";
import { endUnfinished } from "../http/request/answered-request.js";
import { requestCaller } from "../http/request/request-caller.js";
import type { TrustedProxies } from "../http/request/trusted-proxies.js";
import type { Relay } from "../relay/relay.js";
import { bearerToken } from "../rpc/bearer-token.js";
import { connectRpc } from "../rpc/leg/leg-rpc.js";
import { answerFailure, answerPlainly } from "./failure-answer.js";
import type { GatewayOptions } from "./gateway-options.js";
import { GatewayStreams } from "./gateway-streams.js";
import { type GatewayRoute, type GatewayTarget, gatewayRoute } from "./gateway-target.js";
import { callListener } from "./listener-call.js";

export interface GatewayInit {
  options: GatewayOptions;
  /** Whether a host is one of the relay's own. */
  isOwnHost: (host: string) => boolean;
  proxies: TrustedProxies;
  /** Reaches the relay within the process, for a caller that was let in. */
  transportOf: (admitted: Admitted) => Transport;
}

/** Brings requests of HTTP to the listeners of names, which serve HTTP over a stream. */
export class Gateway {
  readonly #relay: Relay;
  readonly #init: GatewayInit;
  readonly #streams: GatewayStreams;

  constructor(relay: Relay, init: GatewayInit) {
    this.#relay = relay;
    this.#init = init;
    this.#streams = new GatewayStreams({ clock: relay.clock, transportOf: init.transportOf });
  }

  /** Whether names are in hosts, each of them an origin of its own. */
  get isByHost(): boolean {
    return this.#init.options.by === "host";
  }

  /** Tells which listener a request is for; undefined if it is not for the gateway. */
  routeOf(request: NodeRequest): GatewayRoute | undefined {
    return gatewayRoute(request, this.#init.options, this.#init.isOwnHost);
  }

  /** Serves a request that {@link routeOf} has found a route for. Never throws. */
  handle(route: GatewayRoute, request: NodeRequest, response: NodeResponse): void {
    endUnfinished(response);
    if (route.kind === "listener") return void this.#call(route, request, response);
    if (route.kind === "refused") return answerPlainly(request, response, route.status, route.message);
    response.setHeader("location", route.location);
    answerPlainly(request, response, 308, "The URL of a listener ends with a slash.");
  }

  /** Ends the streams without a call. Those with calls end a while after their last one. */
  drain(): void {
    this.#streams.closeIdle();
  }

  /** Never rejects. */
  async #call(target: GatewayTarget, request: NodeRequest, response: NodeResponse): Promise<void> {
    const { headers } = request;
    if (request.method === "TRACE" || request.method === "CONNECT") {
      return answerPlainly(request, response, 501, "The method is not served here.");
    }
    const caller: Caller = requestCaller(request, "gateway", this.#init.proxies);
    try {
      const hold = this.#relay.admission.hold(caller, { kind: "call" });
      response.once("close", () => hold.release());
      const given = bearerToken(headers["proxy-authorization"]);
      const token = given || bearerToken(headers.authorization);
      const admitted = await this.#admit(target.name, caller, token);
      const dropsAuthorization = this.#relay.admission.hasPolicy && given === "" && token !== "";
      const open = (wire: ChannelRequest) => this.#streams.open(target.name, admitted, token, wire);
      await callListener({ target, request, response, dropsAuthorization, open, clock: this.#relay.clock });
    } catch (reason) {
      if (!response.headersSent) answerFailure(request, response, StreamError.from(reason));
      else response.destroy();
    }
  }

  #admit(name: string, caller: Caller, token: string): Admitted | Promise<Admitted> {
    const open = create(OpenSchema, { name, metadata: httpMetadata });
    return connectRpc.admit(this.#relay, open, caller, token);
  }
}
