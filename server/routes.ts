import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { JsonValue } from "@bufbuild/protobuf";
import { createConnectRouter, type Transport } from "@connectrpc/connect";
import { createUniversalHandlerClient, type UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import { Health as HealthService } from "../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.js";
import { LinkService } from "../gen/streamserver/v1/link_pb.js";
import { RelayService } from "../gen/streamserver/v1/relay_pb.js";
import { linkSocketPath } from "../link/link-message.js";
import { createRpcTransport } from "../link/rpc-transport.js";
import { setCarrier } from "../web/transport/carrier.js";
import { ClientFiles } from "./http/client-files.js";
import type { NodeRequest, NodeResponse } from "./http/node-server.js";
import { OpenResponses } from "./http/open-responses.js";
import { writeResponse } from "./http/write-response.js";
import { LinkRoutes } from "./link/link-routes.js";
import { LinkSockets } from "./link/link-sockets.js";
import { Links, type LinksInit } from "./link/links.js";
import { Directory } from "./relay/directory.js";
import type { Relay } from "./relay/relay.js";
import { callerValues } from "./rpc/caller.js";
import { Health } from "./rpc/health.js";
import { healthRoutes } from "./rpc/health-routes.js";
import { serveLegChannel } from "./rpc/leg-channel-routes.js";
import { Reflection } from "./rpc/reflection.js";
import { reflectionRoutes } from "./rpc/reflection-routes.js";
import { relayRoutes } from "./rpc/relay-routes.js";

/** Nothing that the relay says is compressed: streams are often compressed already, and it took most of a relay's time. */
const noCompression = { acceptCompression: [], compressMinBytes: Number.MAX_SAFE_INTEGER };
/** Nothing is resolved there: the handlers of this process are under its root. */
const localBaseUrl = "http://local";
const services = [RelayService, LinkService, HealthService, ServerReflection];
const packageNames = new Set(services.map(({ file }) => file.proto.package));

/** The relay's RPCs: for Node's servers, for links, and for this process. */
export class Routes {
  /** Reaches the relay without a network. */
  readonly localTransport: Transport;
  readonly #relay: Relay;
  /** What the URLs of the relay's RPCs begin with. */
  readonly #roots: readonly string[];
  readonly #clientFiles: ClientFiles;
  readonly #directory: Directory;
  readonly #health: Health;
  readonly #links: Links;
  readonly #sockets: LinkSockets;
  readonly #responses: OpenResponses;
  readonly #socketPaths: ReadonlySet<string>;
  readonly #handlers: ReadonlyMap<string, UniversalHandler>;

  constructor(relay: Relay, prefixes: readonly string[]) {
    this.#relay = relay;
    this.#roots = prefixes.flatMap((prefix) => [...packageNames].map((name) => `${prefix}/${name}.`));
    this.#clientFiles = new ClientFiles(prefixes);
    this.#directory = new Directory(relay);
    this.#health = new Health({
      services: services.map(({ typeName }) => typeName),
      maxWatchers: relay.limits.maxWatchers,
    });
    const inner = createConnectRouter(noCompression);
    relayRoutes(inner, relay, this.#directory);
    const { limits, clock, signer } = relay;
    const serveChannel: LinksInit["serveChannel"] = (...channel) => serveLegChannel(relay, ...channel);
    this.#links = new Links({ limits, clock, signer, handlers: inner.handlers, serveChannel });
    this.#responses = new OpenResponses(clock);
    this.#sockets = new LinkSockets(this.#links, relay.clock, relay.limits.heartbeatIntervalMs);
    this.#socketPaths = new Set(prefixes.map((prefix) => prefix + linkSocketPath));
    const request = createUniversalHandlerClient(inner.handlers);
    this.localTransport = createRpcTransport({ httpClient: request, baseUrl: localBaseUrl });
    const legClient = { baseUrl: localBaseUrl, request, takesParts: false as const };
    setCarrier(this.localTransport, { kind: () => "native", legClient });
    const outer = createConnectRouter(noCompression);
    relayRoutes(outer, relay, this.#directory);
    new LinkRoutes(this.#links, relay.signer).register(outer);
    healthRoutes(outer, this.#health);
    reflectionRoutes(outer, new Reflection(services), relay.clock);
    this.#handlers = new Map(
      prefixes.flatMap((prefix) => outer.handlers.map((handler) => [prefix + handler.requestPath, handler])),
    );
  }

  get counts(): { links: number; channels: number; watchers: number } {
    return { ...this.#links.counts, watchers: this.#directory.watchers + this.#health.watchers };
  }

  /** Whether a request for `url` is the relay's. */
  serves(url = ""): boolean {
    return this.#roots.some((root) => url.startsWith(root)) || this.#clientFiles.serves(pathOf(url));
  }

  /** Whether a request for `url` can become the WebSocket of a link. */
  upgrades(url = ""): boolean {
    return this.#socketPaths.has(pathOf(url));
  }

  /** Serves a request for which {@link upgrades} is true. */
  upgrade(request: IncomingMessage, connection: Duplex, head: Buffer): void {
    this.#sockets.upgrade(request, connection, head);
  }

  /**
   * Serves a request for which {@link serves} is true. Connect's own adapter would print an error for every peer that hangs
   * up, which for a relay is no error; the RPC's signal has said so.
   */
  async handle(request: NodeRequest, response: NodeResponse): Promise<void> {
    const path = pathOf(request.url);
    if (this.#clientFiles.serves(path)) return this.#clientFiles.handle(path, request, response);
    const handler = this.#handlers.get(path);
    if (handler === undefined) {
      response.statusCode = 404;
      response.end();
      return;
    }
    // The caller hung up while others had the request, and "close" does not come again. Of HTTP/2 only the stream tells.
    if (("stream" in response ? response.stream : response).destroyed) return;
    repairAuthority(request);
    this.#responses.add(response);
    try {
      // A body parser that came before has read the body.
      const parsedBody = "body" in request ? (request.body as JsonValue | undefined) : undefined;
      const values = callerValues(request, () => this.#responses.expectEnd(response));
      const answer = await handler(universalRequestFromNodeRequest(request, response, parsedBody, values));
      await writeResponse(answer, response);
    } catch {
      response.destroy();
    }
  }

  /** Ends the relay, with everything that hangs on it. */
  close(): void {
    this.#health.stop();
    this.#links.close(this.#relay.close());
    this.#directory.close();
    this.#responses.close();
  }
}

function pathOf(url = ""): string {
  return url.split("?", 1)[0] ?? "";
}

/**
 * Gives a request an authority where it has none that is one: nothing depends on it, but the adapter builds a URL from it.
 * Node's own HTTP/2 client sends an IPv6 address without its brackets.
 */
function repairAuthority({ headers }: NodeRequest): void {
  const name = ":authority" in headers ? ":authority" : "host";
  if (!URL.canParse(`http://${headers[name]}/`)) headers[name] = "localhost";
}
