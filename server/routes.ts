import type { JsonValue } from "@bufbuild/protobuf";
import { createConnectRouter, type Transport } from "@connectrpc/connect";
import { createUniversalHandlerClient, type UniversalHandler } from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { RelayService } from "../gen/streamserver/v1/relay_pb.js";
import { Directory } from "./directory.js";
import { LinkRoutes } from "./link-routes.js";
import type { NodeRequest, NodeResponse } from "./node-server.js";
import type { Relay } from "./relay.js";
import { relayRoutes } from "./relay-routes.js";

/** Nothing that the relay says is compressed: streams are often compressed already, and it took most of a relay's time. */
const noCompression = { acceptCompression: [], compressMinBytes: Number.MAX_SAFE_INTEGER };
const packageName = RelayService.typeName.slice(0, RelayService.typeName.lastIndexOf("."));
/** The most that Connect takes; the routes have limits of their own. */
const maxMessageBytes = 0xffffffff;

/** The relay's RPCs: for Node's servers, for links, and for this process. */
export class Routes {
  /** Reaches the relay without a network. */
  readonly localTransport: Transport;
  readonly #relay: Relay;
  readonly #prefix: string;
  readonly #directory: Directory;
  readonly #links: LinkRoutes;
  readonly #handlers: ReadonlyMap<string, UniversalHandler>;

  constructor(relay: Relay, prefix: string) {
    this.#relay = relay;
    this.#prefix = prefix;
    this.#directory = new Directory(relay);
    const inner = createConnectRouter(noCompression);
    relayRoutes(inner, relay, this.#directory);
    this.#links = new LinkRoutes({ ...relay, handlers: inner.handlers });
    this.localTransport = createTransport({
      ...noCompression,
      httpClient: createUniversalHandlerClient(inner.handlers),
      baseUrl: "http://local",
      useBinaryFormat: true,
      interceptors: [],
      sendCompression: null,
      readMaxBytes: maxMessageBytes,
      writeMaxBytes: maxMessageBytes,
    });
    const outer = createConnectRouter(noCompression);
    relayRoutes(outer, relay, this.#directory);
    this.#links.register(outer);
    this.#handlers = new Map(outer.handlers.map((handler) => [prefix + handler.requestPath, handler]));
  }

  get counts(): { links: number; channels: number; watchers: number } {
    return { ...this.#links.counts, watchers: this.#directory.watchers };
  }

  /** Whether a request for `url` is the relay's. */
  serves(url: string | undefined): boolean {
    return url?.startsWith(`${this.#prefix}/${packageName}.`) ?? false;
  }

  /**
   * Serves a request for which {@link serves} is true. Connect's own adapter would print an error for every peer that hangs
   * up, which for a relay is no error; the RPC's signal has said so.
   */
  async handle(request: NodeRequest, response: NodeResponse): Promise<void> {
    const handler = this.#handlers.get(request.url?.split("?", 1)[0] ?? "");
    if (handler === undefined) {
      response.statusCode = 404;
      response.end();
      return;
    }
    try {
      // A body parser that came before has read the body.
      const parsedBody = "body" in request ? (request.body as JsonValue | undefined) : undefined;
      const answer = await handler(universalRequestFromNodeRequest(request, response, parsedBody, undefined));
      await universalResponseToNodeResponse(answer, response);
    } catch {
      response.destroy();
    }
  }

  /** Ends the relay, with everything that hangs on it. */
  close(): void {
    this.#links.close(this.#relay.close());
    this.#directory.close();
  }
}
