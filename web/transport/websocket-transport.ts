import type { Transport } from "@connectrpc/connect";
import { systemClock } from "../../stream/system-clock.js";
import { createLinkTransport, type LinkTransportOptions } from "./link-transport.js";
import { openWebSocketLink } from "./websocket-link.js";

export interface WebSocketTransportOptions extends LinkTransportOptions {
  /** Where the relay is, prefix included; "http:" or "https:", relative to the page in a browser. */
  baseUrl: string | URL;
  /** How long the relay may take to open the link. Default 10,000. */
  openTimeoutMs?: number;
}

/**
 * A Connect transport for RPCs of every kind, unary and streaming both ways, over one WebSocket: the browser's, Node's, Deno's
 * or Bun's. The socket is opened by the first call, closed after the last one and a while, and opened anew after it broke;
 * calls fail with `unavailable` when it cannot be had. `StreamServer` and `StreamClient` take it, and so does `createClient` for
 * `RelayService`, the one service that a relay has there.
 */
export function createWebSocketTransport({
  baseUrl,
  openTimeoutMs = 10_000,
  ...options
}: WebSocketTransportOptions): Transport {
  const url = new URL(baseUrl, globalThis.location?.href).href;
  return createLinkTransport(
    (signal) => openWebSocketLink(url, systemClock, openTimeoutMs, signal),
    systemClock,
    options,
  );
}
