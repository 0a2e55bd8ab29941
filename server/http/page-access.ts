import type { IncomingMessage } from "node:http";
import { quoted } from "../relay/warnings.js";
import type { Origins } from "./cors.js";
import type { NodeRequest } from "./node-server.js";

/** Tells which pages may use the relay, by the headers that browsers send and scripts cannot set. */
export class PageAccess {
  readonly #origins: Origins;

  constructor(origins: Origins) {
    this.#origins = origins;
  }

  /**
   * Says why a page may not open a WebSocket, for which no browser asks leave; undefined if it may. A request without
   * an Origin is no page's. A page of the relay's own origin has the relay's address in Origin and in Host, which a
   * proxy must pass on as they came. The scheme is compared only if this connection is encrypted, because a proxy may
   * have ended TLS.
   */
  socketRefusal({ headers, socket }: IncomingMessage): string | undefined {
    const { origin, host } = headers;
    if (origin === undefined || this.#allows(origin)) return undefined;
    if (!URL.canParse(origin) || new URL(origin).host !== host?.toLowerCase()) {
      const remedy = "allow the origin, or have the proxy pass Host on as it came";
      return `Origin is ${quoted(origin)} and Host ${quoted(host)}: ${remedy}`;
    }
    if (!("encrypted" in socket) || !socket.encrypted || origin.startsWith("https:")) return undefined;
    return `Origin is ${quoted(origin)}, but the relay is asked over TLS: allow the origin`;
  }

  /** Says why a page that asks whether it may call gets no leave, by CORS; undefined for any other request. */
  preflightRefusal({ method, headers }: NodeRequest): string | undefined {
    const { origin } = headers;
    const asks = method === "OPTIONS" && origin !== undefined && "access-control-request-method" in headers;
    if (!asks || this.#allows(origin)) return undefined;
    return `Origin is ${quoted(origin)}: allow the origin`;
  }

  #allows(origin: string): boolean {
    return this.#origins === "*" || this.#origins.includes(origin);
  }
}
