import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Http2SecureServer, Http2Server, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Server as HttpsServer } from "node:https";

/** Node's servers, and what they hand out for each request. */
export type NodeServer = HttpServer | HttpsServer | Http2Server | Http2SecureServer;
export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/**
 * Whether nobody is there to read a response. In HTTP/2 only the stream knows. One that was reset without an error is
 * destroyed when its request is read to the end.
 */
export function isGone(response: NodeResponse): boolean {
  if (!("stream" in response)) return response.destroyed;
  return response.stream.destroyed || response.stream.closed;
}
