import type { IncomingMessage } from "node:http";
import type { NodeRequest } from "../../http/node-server.js";
import { isEncrypted } from "../../http/request/request-urls.js";

/**
 * Whether the Origin of a request is that of the URL it asks for. The scheme is compared if this connection has TLS.
 */
export function isOfOwnOrigin(request: NodeRequest | IncomingMessage, authority: string): boolean {
  const { origin } = request.headers;
  if (origin === undefined || !URL.canParse(origin)) return false;
  const { host, protocol } = new URL(origin);
  return host === hostIn(authority, protocol) && (!isEncrypted(request) || protocol === "https:");
}

/** A browser leaves the port of its scheme out of Origin. */
function hostIn(authority: string, protocol: string): string {
  return URL.canParse(`${protocol}//${authority}`) ? new URL(`${protocol}//${authority}`).host : "";
}

/**
 * Whether a cookie counts for a request, because a page of another site cannot have sent it, or can only lead there by
 * a link.
 *
 * - The other names of a gateway by host are of the same site, and strangers, so "same-site" is another one.
 * - A browser says it in `Sec-Fetch-Site`, where the URL is one of TLS or of this machine, and in Origin, which every
 *   request for a WebSocket has. Without either a request changes nothing: it is a GET, which SameSite has kept to
 *   links.
 */
export function isOfOwnSite(request: NodeRequest | IncomingMessage, authority: string): boolean {
  const { headers, method } = request;
  const site = headers["sec-fetch-site"];
  if (site === "same-origin" || site === "none") return true;
  const changesNothing = method === "GET" || method === "HEAD";
  if (site !== undefined) return changesNothing && isNavigation(request) && headers["sec-fetch-dest"] === "document";
  return headers.origin === undefined ? changesNothing : isOfOwnOrigin(request, authority);
}

/** Whether a browser goes to a page, as opposed to a script that calls, or a program. */
export function isNavigation({ headers }: NodeRequest | IncomingMessage): boolean {
  const mode = headers["sec-fetch-mode"];
  if (mode !== undefined) return mode === "navigate";
  return /\btext\/html\b/i.test(headers.accept ?? "");
}
