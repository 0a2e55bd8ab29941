import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { createWebSocketTransport, type TransportLike } from "browser-stream-server";

export type WebWayKind = "websocket" | "base-url" | "connect-json" | "connect-binary" | "grpc-web";

/** A way to a relay that exists wherever the web's interfaces do, in a form that JSON can carry. */
export interface WebWay {
  kind: WebWayKind;
  /** The URL under which the relay's RPCs are; for a base URL, the origin. */
  url: string;
}

const transports = new Map<string, TransportLike>();

/** The same way gives the same transport, so that all of a page's streams share one link. */
export function transportOf(way: WebWay): TransportLike {
  const key = `${way.kind} ${way.url}`;
  const transport = transports.get(key) ?? create(way);
  transports.set(key, transport);
  return transport;
}

function create({ kind, url: baseUrl }: WebWay): TransportLike {
  switch (kind) {
    case "base-url":
      return baseUrl;
    case "websocket":
      return createWebSocketTransport({ baseUrl });
    case "connect-json":
      return createConnectTransport({ baseUrl, useBinaryFormat: false });
    case "connect-binary":
      return createConnectTransport({ baseUrl, useBinaryFormat: true });
    case "grpc-web":
      return createGrpcWebTransport({ baseUrl });
  }
}
