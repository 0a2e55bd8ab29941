import type { Transport } from "@connectrpc/connect";
import { relayAt } from "../../stream/error/failure-detail.js";
import { systemClock } from "../../stream/platform/system-clock.js";
import { beaconTo, withGoodbye } from "../link/goodbye.js";
import { browserSocket, openWebSocketLink, type SocketFactory } from "../link/websocket-link.js";
import { createLinkTransport, type LinkTransportOptions } from "./link-transport.js";
import { type RelayUrl, refuseCredentials, relayUrl } from "./relay-url.js";

/** The relay has this long to open a link over a WebSocket, unless the caller names another number. */
export const defaultOpenTimeoutMs = 10_000;

export interface WebSocketTransportOptions extends LinkTransportOptions {
  /**
   * The URL of the relay, prefix included: "http:" or "https:", or "ws:" or "wss:" for the same; in a page it may be
   * relative to the page. A query is sent along. User and password are sent as `Authorization: Basic`; a page refuses
   * them.
   */
  baseUrl: string | URL;
  /** How long the relay may take to open the link, in milliseconds. Default 10,000. */
  openTimeoutMs?: number;
}

/**
 * A Connect transport for RPCs of every kind, unary and streaming both ways, over one WebSocket. The socket is opened
 * by the first call, closed after the last one and a while, and opened anew after it broke; another one is opened when
 * it has no room for a call. `StreamServer` and `StreamClient` take the transport, and so does `createClient` for
 * `RelayService`, the one service that a relay has there.
 *
 * - Calls fail with `unavailable`, and FAILURE_LEG_LOST of HOP_RELAY, when no socket can be had.
 * - Throws `invalid_argument` for a URL that cannot be a relay's.
 *
 * @example
 * const transport = createWebSocketTransport({ baseUrl: "https://relay.example/browser-server" });
 * const stream = StreamClient(transport).connect("SERVER_NAME");
 */
export function createWebSocketTransport(options: WebSocketTransportOptions): Transport {
  return openWebSocketTransport(options, (url) => {
    refuseCredentials(url);
    return browserSocket;
  });
}

/** {@link createWebSocketTransport} with the platform's sockets. */
export function openWebSocketTransport(
  { baseUrl, openTimeoutMs = defaultOpenTimeoutMs, ...options }: WebSocketTransportOptions,
  socketsFor: (url: RelayUrl) => SocketFactory,
): Transport {
  const url = relayUrl(String(baseUrl).replace(/^ws(?=s?:)/i, "http"), "", "kept");
  const createSocket = socketsFor(url);
  const open = (signal: AbortSignal) => openWebSocketLink(url.href, systemClock, openTimeoutMs, signal, createSocket);
  const openPolitely = withGoodbye(open, beaconTo(url.href), systemClock);
  return createLinkTransport(openPolitely, systemClock, options, relayAt(url.href));
}
