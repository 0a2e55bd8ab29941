import type { Transport } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";

/** A way to a relay: what to hand to `StreamServer` and `StreamClient`, and what to close afterwards. */
export interface Way {
  transport: Transport | string;
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

function overFetch(create: (baseUrl: string) => Transport): (url: string) => Way {
  return (baseUrl) => ({ transport: create(baseUrl), close: () => {} });
}

export const http2Ways = {
  "Connect over HTTP/2": overHttp2(node.createConnectTransport),
  "gRPC over HTTP/2": overHttp2(node.createGrpcTransport),
  "gRPC-Web over HTTP/2": overHttp2(node.createGrpcWebTransport),
};

/** Every way that this process has, by what the RPCs travel in. */
export const allWays: Record<string, (url: string) => Way> = {
  ...http2Ways,
  "a base URL": (url) => ({ transport: new URL(url).origin, close: () => {} }),
  "a link over Connect, binary": overFetch((baseUrl) => web.createConnectTransport({ baseUrl, useBinaryFormat: true })),
  "a link over Connect, JSON": overFetch((baseUrl) => web.createConnectTransport({ baseUrl, useBinaryFormat: false })),
  "a link over gRPC-Web": overFetch((baseUrl) => web.createGrpcWebTransport({ baseUrl })),
  "a link over Node's HTTP/1.1": overFetch((baseUrl) => node.createConnectTransport({ baseUrl, httpVersion: "1.1" })),
};
