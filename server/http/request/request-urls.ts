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
