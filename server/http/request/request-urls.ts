import type { IncomingMessage } from "node:http";
import type { NodeRequest } from "../node-server.js";

/**
 * The URLs by which a request may name an RPC of the relay: the one that the caller asked for and, where a framework
 * has mounted the handler at a path, the one without that path. Express and its like keep the first as `originalUrl`.
 */
export function urlsOf(request: NodeRequest | IncomingMessage): readonly string[] {
  const { url = "", originalUrl } = request as { url?: string; originalUrl?: unknown };
  return typeof originalUrl === "string" && originalUrl !== url ? [originalUrl, url] : [url];
}

/** A URL without its query. */
export function pathOf(url: string): string {
  return url.split("?", 1)[0] ?? "";
}

/** The host and port that a request names: in HTTP/2 its authority, which Host only stands in for. */
export function authorityOf({ headers }: NodeRequest | IncomingMessage): string | undefined {
  const authority = headers[":authority"] ?? headers.host;
  return typeof authority === "string" ? authority : undefined;
}

/** Whether a request came over TLS as far as this process. */
export function isEncrypted(request: NodeRequest | IncomingMessage): boolean {
  if ("stream" in request) return request.stream.session?.encrypted === true;
  return "encrypted" in request.socket && request.socket.encrypted === true;
}
