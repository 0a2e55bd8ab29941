import type { IncomingMessage } from "node:http";
import type { NodeRequest } from "../node-server.js";
import { plainAddress, type TrustedProxies } from "./trusted-proxies.js";

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

/** The scheme of the URL that a caller asked for, also where a trusted proxy in front of the relay ends TLS. */
export function schemeOf(request: NodeRequest | IncomingMessage, proxies: TrustedProxies): "http" | "https" {
  if (isEncrypted(request)) return "https";
  const told = request.headers["x-forwarded-proto"];
  if (told === undefined) return "http";
  const socket = "stream" in request ? request.stream.session?.socket : request.socket;
  const isTrusted = proxies.includes(plainAddress(socket?.remoteAddress ?? ""));
  // Each proxy adds the scheme that it was asked by at the end, or replaces what stands there.
  return isTrusted && /(^|,)\s*https\s*$/i.test(String(told)) ? "https" : "http";
}

/** Whether a request came over TLS as far as this process. */
export function isEncrypted(request: NodeRequest | IncomingMessage): boolean {
  if ("stream" in request) return request.stream.session?.encrypted === true;
  return "encrypted" in request.socket && request.socket.encrypted === true;
}
