import * as node from "@connectrpc/connect-node";
import { createConnectTransport } from "@connectrpc/connect-web";
import { createWebSocketTransport, type TransportLike } from "browser-stream-server";
import { heartbeatIntervalMs } from "./limits.ts";

/** A way to a relay: what to hand to `StreamServer` and `StreamClient`, and what to close afterwards. */
export interface Way {
  transport: TransportLike;
  close(): void;
}

const stays = () => {};

/** The ways to a relay from Node, by the origin under which the relay is reached. */
const ways = {
  /** The package's own way over HTTP/2. */
  http2: (origin: string): Way => ({ transport: origin, close: stays }),
  /** A link over a WebSocket. */
  websocket: (origin: string): Way => ({
    transport: createWebSocketTransport({ baseUrl: `${origin}/browser-server` }),
    close: stays,
  }),
  /** A link over the two RPCs of `LinkService`, by the platform's `fetch`. */
  fetch: (origin: string): Way => ({
    transport: createConnectTransport({ baseUrl: `${origin}/browser-server` }),
    close: stays,
  }),
  /** A transport of the application's own, which hands on decoded messages. */
  decoded: (origin: string): Way => {
    const baseUrl = `${origin}/browser-server`;
    // Without PINGs of its own, no such transport notices a connection that is lost in silence.
    const pings = { pingIntervalMs: heartbeatIntervalMs, pingTimeoutMs: 4 * heartbeatIntervalMs };
    const sessionManager = new node.Http2SessionManager(baseUrl, pings);
    const transport = node.createConnectTransport({ baseUrl, httpVersion: "2", sessionManager });
    return { transport, close: () => sessionManager.abort() };
  },
};

export type NetworkCarrier = keyof typeof ways;
export const networkCarriers = Object.keys(ways) as NetworkCarrier[];

/** `local` is a stream that the relay's own process opens, for a client alone. */
export type Carrier = NetworkCarrier | "local";
export const carriers: readonly Carrier[] = [...networkCarriers, "local"];

/** The carriers whose connections end by themselves soon after the last call. */
export const tidyCarriers: ReadonlySet<Carrier> = new Set<Carrier>(["http2", "websocket"]);

export function openWay(carrier: NetworkCarrier, origin: string): Way {
  return ways[carrier](origin);
}
