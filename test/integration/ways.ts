import type { Transport } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import type { TransportLike } from "browser-stream-server";
import { transportOf, type WebWayKind } from "../contract/web-way.js";

/** A way to a relay: what to hand to `StreamServer` and `StreamClient`, and what to close afterwards. */
export interface Way {
  transport: TransportLike;
  close(): void;
}

type Http2Transport = (options: {
  baseUrl: string;
  httpVersion: "2";
  sessionManager: node.Http2SessionManager;
}) => Transport;

function overHttp2(create: Http2Transport): (url: string) => Way {
  return (baseUrl) => {
    const sessionManager = new node.Http2SessionManager(baseUrl, {}, { rejectUnauthorized: false });
    const transport = create({ baseUrl, httpVersion: "2", sessionManager });
    return { transport, close: () => sessionManager.abort() };
  };
}

function asOnTheWeb(kind: WebWayKind): (url: string) => Way {
  return (url) => ({ transport: transportOf({ kind, url }), close: () => {} });
}

const baseUrl = (url: string): Way => ({ transport: new URL(url).origin, close: () => {} });

export const http2Ways = {
  "Connect over HTTP/2": overHttp2(node.createConnectTransport),
  "gRPC over HTTP/2": overHttp2(node.createGrpcTransport),
  "gRPC-Web over HTTP/2": overHttp2(node.createGrpcWebTransport),
};

const fetchWays = {
  "a link over Connect, binary": asOnTheWeb("connect-binary"),
  "a link over Connect, JSON": asOnTheWeb("connect-json"),
  "a link over gRPC-Web": asOnTheWeb("grpc-web"),
};

/** The ways that a relay with TLS is tried over. */
export const secureWays = { ...http2Ways, "a base URL": baseUrl, "a WebSocket": asOnTheWeb("websocket"), ...fetchWays };

/** Every way that this process has, by what the RPCs travel in. */
export const allWays = {
  ...secureWays,
  "a link over Node's HTTP/1.1": (url: string): Way => ({
    transport: node.createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
    close: () => {},
  }),
};
