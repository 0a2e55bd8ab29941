import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { TransportKind } from "browser-stream-server";
import { allWays, type Way } from "../integration/ways.js";

/** A link by fetch over HTTP/2, as a browser has it: no body of a request is streamed. */
function fetchLinkOverHttp2(baseUrl: string): Way {
  const sessionManager = new Http2SessionManager(baseUrl);
  const native = createConnectTransport({ baseUrl, httpVersion: "2", sessionManager });
  const transport: Transport = {
    unary: native.unary,
    stream: (method, ...rest) => {
      if (method.methodKind === "server_streaming") return native.stream(method, ...rest);
      return Promise.reject(new ConnectError("as in a browser", Code.Unimplemented));
    },
  };
  return { transport, close: () => sessionManager.abort() };
}

const prefix = "/browser-server";

/** The relay's, as with `npm start`: at the root too, for gRPC. */
export const prefixes = [prefix, ""];

export interface WayThrough {
  /** The `transport` of a stream that goes this way. */
  kind: TransportKind;
  prefix: string;
  open(url: string): Way;
}

/** The ways that are tried through each proxy. */
export const ways: Record<string, WayThrough> = {
  "a WebSocket": { kind: "websocket", prefix, open: allWays["a WebSocket"] },
  "a fetch link": { kind: "fetch", prefix, open: allWays["a link over Connect, binary"] },
  "a fetch link over HTTP/2": { kind: "fetch", prefix, open: fetchLinkOverHttp2 },
  "Connect over HTTP/2": { kind: "native", prefix, open: allWays["Connect over HTTP/2"] },
  "gRPC over HTTP/2": { kind: "native", prefix: "", open: allWays["gRPC over HTTP/2"] },
};
