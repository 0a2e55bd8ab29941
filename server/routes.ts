import { type ConnectRouter, createConnectRouter, type Transport } from "@connectrpc/connect";
import { createUniversalHandlerClient } from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
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
  /** Serves a request for which {@link serves} is true. */
  readonly handle: (request: NodeRequest, response: NodeResponse) => void;
  /** Reaches the relay without a network. */
  readonly localTransport: Transport;
  readonly #relay: Relay;
  readonly #prefix: string;
  readonly #directory: Directory;
  readonly #links: LinkRoutes;

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
    this.handle = connectNodeAdapter({
      ...noCompression,
      requestPathPrefix: prefix,
      routes: (router: ConnectRouter) => {
        relayRoutes(router, relay, this.#directory);
        this.#links.register(router);
      },
    });
  }

  get counts(): { links: number; channels: number; watchers: number } {
    return { ...this.#links.counts, watchers: this.#directory.watchers };
  }

  /** Whether a request for `url` is the relay's. */
  serves(url: string | undefined): boolean {
    return url?.startsWith(`${this.#prefix}/${packageName}.`) ?? false;
  }

  /** Ends the relay, with everything that hangs on it. */
  close(): void {
    this.#links.close(this.#relay.close());
    this.#directory.close();
  }
}
