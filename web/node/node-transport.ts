import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Code, type ConnectError, type Transport } from "@connectrpc/connect";
import { createNodeHttpClient } from "@connectrpc/connect-node";
import { envelopeCaller } from "../../leg/envelope-call.js";
import { maxRpcMessageBytes } from "../../leg/leg-call.js";
import { createRpcTransport } from "../../link/rpc-transport.js";
import { callError, relayAt } from "../../stream/error/failure-detail.js";
import type { Clock } from "../../stream/platform/clock.js";
import { type FetchLinkInit, openFetchLink } from "../link/fetch-link.js";
import { chooseLink, webSocketTimeoutMs } from "../link/link-choice.js";
import { LinkMemory } from "../link/link-memory.js";
import { openWebSocketLink } from "../link/websocket-link.js";
import { bidiObstacle } from "../transport/bidi-probe.js";
import { createLinkTransport } from "../transport/link-transport.js";
import type { RelayUrl } from "../transport/relay-url.js";
import { setTransportFacts } from "../transport/transport-facts.js";
import { basicCredentials } from "./basic-credentials.js";
import { http2CarrierOpener } from "./http2-carrier.js";
import { Http2Connections } from "./http2-connections.js";
import { nodeSockets } from "./node-websocket.js";

export interface NodeTransportOptions {
  /** How long a connection without calls is kept for the next one, in milliseconds. Default 1,000. */
  idleConnectionTimeoutMs?: number;
  /** Gives up finding the way. */
  signal?: AbortSignal;
}

/**
 * The best way to a relay from Node: HTTP/2, or links where the relay's server speaks only HTTP/1.1. The URL's user and
 * password are sent with every request. Rejects with the signal's reason when it is aborted, and otherwise with a
 * `StreamError`: FAILURE_LEG_LOST of HOP_RELAY where no way leads to a relay.
 */
export async function openNodeTransport(
  url: RelayUrl,
  clock: Clock,
  { signal, idleConnectionTimeoutMs = 1_000 }: NodeTransportOptions = {},
): Promise<Transport> {
  const native = createHttp2Transport(url, clock, idleConnectionTimeoutMs);
  const links = createNodeLinkTransport(url, clock, idleConnectionTimeoutMs);
  let http2Obstacle: ConnectError | undefined;
  try {
    http2Obstacle = await bidiObstacle(native, signal);
    if (http2Obstacle === undefined) return native;
    const obstacle = await bidiObstacle(links, signal);
    if (obstacle === undefined) return links;
    throw obstacle;
  } catch (reason) {
    signal?.throwIfAborted();
    // A server that speaks HTTP/2 and has no relay, or lets nobody in, says so in its first answer.
    const telling = http2Obstacle === undefined || brokenCodes.has(http2Obstacle.code) ? reason : http2Obstacle;
    throw callError(telling, relayAt(url.href));
  }
}

/** The codes of an attempt at HTTP/2 with a server that does not speak it. */
const brokenCodes: ReadonlySet<Code> = new Set([Code.Internal, Code.Aborted]);

/** A transport to a relay over HTTP/2, with PINGs that find a dead relay. */
function createHttp2Transport(url: RelayUrl, clock: Clock, idleTimeoutMs: number): Transport {
  const connections = new Http2Connections({ url, clock, idleTimeoutMs });
  const { href: baseUrl } = url;
  const httpClient = createNodeHttpClient({ httpVersion: "2", sessionProvider: () => connections });
  const transport = createRpcTransport({ httpClient, baseUrl, readMaxBytes: maxRpcMessageBytes });
  setTransportFacts(transport, {
    kind: () => "native",
    relay: relayAt(baseUrl),
    callLeg: envelopeCaller(baseUrl, http2CarrierOpener(connections)),
    setHeartbeat: (intervalMs) => connections.setHeartbeat(intervalMs),
    doubt: (error) => connections.doubt(error),
  });
  return transport;
}

function createNodeLinkTransport(url: RelayUrl, clock: Clock, idleTimeoutMs: number): Transport {
  const createSocket = nodeSockets(url);
  const open = chooseLink({
    openWebSocket: (signal) => openWebSocketLink(url.href, clock, webSocketTimeoutMs, signal, createSocket),
    openFetch: (signal) => openFetchLink(nodeFetchLink(url), clock, signal),
    memory: new LinkMemory(url.href),
    clock,
  });
  return createLinkTransport(open, clock, { idleTimeoutMs }, relayAt(url.href));
}

/** The connections of one fetch link, over HTTP/1.1 and shared with no other link. */
function nodeFetchLink(url: RelayUrl): FetchLinkInit {
  const { href } = url;
  const agent = new (href.startsWith("https:") ? HttpsAgent : HttpAgent)({ keepAlive: true });
  const nodeOptions = { agent, headers: { ...basicCredentials(url) } };
  const httpClient = createNodeHttpClient({ httpVersion: "1.1", nodeOptions });
  const transport = createRpcTransport({ httpClient, baseUrl: href });
  const hold = (isHeld: boolean) => {
    // An agent lets go of its free sockets by itself.
    for (const socket of Object.values(agent.sockets).flat()) isHeld ? socket?.ref() : socket?.unref();
  };
  return { transport, url: href, hold };
}
