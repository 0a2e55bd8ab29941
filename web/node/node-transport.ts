import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createNodeHttpClient, Http2SessionManager } from "@connectrpc/connect-node";
import { maxMessageBytes } from "../../link/leg-call.js";
import { createRpcTransport } from "../../link/rpc-transport.js";
import type { Clock } from "../../stream/clock.js";
import { bidiObstacle } from "../transport/bidi-probe.js";
import { setCarrier } from "../transport/carrier.js";
import { openFetchLink } from "../transport/fetch-link.js";
import { chooseLink, webSocketTimeoutMs } from "../transport/link-choice.js";
import { createLinkTransport } from "../transport/link-transport.js";
import { openWebSocketLink } from "../transport/websocket-link.js";

/** Node's defaults of 64 KiB halve bulk throughput. */
const streamWindowBytes = 1_048_576;
const connectionWindowBytes = 4_194_304;

export interface NodeTransportOptions {
  /** How long a connection without calls is kept for the next one. Default 1,000. */
  idleConnectionTimeoutMs?: number;
  /** Gives up finding the way. */
  signal?: AbortSignal;
}

/**
 * The best way to a relay from Node: HTTP/2, or a link where the relay's server speaks only HTTP/1.1. Rejects with
 * `unavailable` where neither leads to a relay.
 */
export async function openNodeTransport(
  baseUrl: string,
  clock: Clock,
  options: NodeTransportOptions = {},
): Promise<Transport> {
  const native = createNodeTransport(baseUrl, options);
  const { signal, idleConnectionTimeoutMs } = options;
  if ((await bidiObstacle(native, signal)) === undefined) return native;
  const carrier = createRpcTransport({ httpClient: createNodeHttpClient({ httpVersion: "1.1" }), baseUrl });
  const open = chooseLink(
    (signal) => openWebSocketLink(baseUrl, clock, webSocketTimeoutMs, signal),
    (signal) => openFetchLink(carrier, clock, signal),
    { prefersFetch: false },
  );
  const link = createLinkTransport(open, clock, { idleTimeoutMs: idleConnectionTimeoutMs });
  const obstacle = await bidiObstacle(link, signal);
  if (obstacle === undefined) return link;
  throw new ConnectError(obstacle.rawMessage, Code.Unavailable, undefined, undefined, obstacle);
}

/**
 * A transport to a relay over one HTTP/2 connection: wide windows, no compression, PINGs that find a dead relay. The connection
 * closes soon after the last stream, so that a program can end.
 */
function createNodeTransport(baseUrl: string, { idleConnectionTimeoutMs = 1_000 }: NodeTransportOptions): Transport {
  const manager = new Http2SessionManager(
    baseUrl,
    { pingIntervalMs: 15_000, pingTimeoutMs: 15_000, idleConnectionTimeoutMs },
    { settings: { initialWindowSize: streamWindowBytes } },
  );
  const widened = new WeakSet<object>();
  const { host } = new URL(baseUrl);
  const sessions: Pick<Http2SessionManager, "authority" | "notifyResponseByteRead" | "request"> = {
    authority: manager.authority,
    notifyResponseByteRead: (stream) => manager.notifyResponseByteRead(stream),
    async request(method, path, headers, options) {
      // Node writes an IPv6 address there without its brackets.
      const stream = await manager.request(method, path, { ...headers, ":authority": host }, options);
      const { session } = stream;
      if (session !== undefined && !widened.has(session)) {
        widened.add(session);
        session.setLocalWindowSize(connectionWindowBytes);
      }
      return stream;
    },
  };
  const httpClient = createNodeHttpClient({ httpVersion: "2", sessionProvider: () => sessions });
  const transport = createRpcTransport({ httpClient, baseUrl, readMaxBytes: maxMessageBytes });
  setCarrier(transport, { kind: () => "native", legClient: { baseUrl, request: httpClient, takesParts: false } });
  return transport;
}
