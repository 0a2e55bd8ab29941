import type { IncomingMessage } from "node:http";
import { quoted } from "../../admission/warnings.js";
import type { NodeRequest } from "../node-server.js";
import { authorityOf, isEncrypted } from "../request/request-urls.js";
import type { Origins } from "./cors.js";
import { type Hosts, hostNameOf } from "./hosts.js";

/** Why a page may not use the relay, with the kind of the warning about it. */
export interface PageRefusal {
  kind: "origin-refused" | "host-refused";
  reason: string;
}

/** Tells which pages may use the relay, by the headers that browsers send and scripts cannot set. */
export class PageAccess {
  readonly #origins: Origins;
  readonly #hosts: Hosts;

  constructor(origins: Origins, hosts: Hosts) {
    this.#origins = origins;
    this.#hosts = hosts;
  }

  /**
   * Says why a page may not open a WebSocket, for which no browser sends a preflight; undefined if it may. A request
   * without an Origin is no page's.
   */
  socketRefusal(request: IncomingMessage): PageRefusal | undefined {
    return this.#originRefusal(request);
  }

  /**
   * Says why a request is refused that may be a page's; undefined for any other. Without `hosts` every request may
   * pass, because a browser sends a preflight for those of other origins. It sends none for a page whose own name has
   * been pointed at the relay's address (DNS rebinding), so with `hosts` the headers are compared here.
   */
  requestRefusal(request: NodeRequest): PageRefusal | undefined {
    if (this.#hosts === "*" || this.#origins === "*" || isPreflight(request)) return undefined;
    return this.#originRefusal(request) ?? this.hostRefusal(request);
  }

  /** Whether a request is a preflight of CORS for a page of an allowed origin. */
  isAllowedPreflight(request: NodeRequest): boolean {
    return isPreflight(request) && this.#allows(request.headers.origin ?? "");
  }

  /** Says why a preflight of CORS is refused; undefined for any other request. */
  preflightRefusal(request: NodeRequest): PageRefusal | undefined {
    const { origin } = request.headers;
    if (origin === undefined || !isPreflight(request) || this.#allows(origin)) return undefined;
    return { kind: "origin-refused", reason: `Origin is ${quoted(origin)}: allow the origin` };
  }

  /**
   * Says why a request that may be a page's is not for this server, by its Host; undefined for any other. A browser
   * leaves Origin out of a GET to the address that the page came from, so a GET counts as a page's. Other requests
   * without an Origin are programs', which reach the relay by any name.
   */
  hostRefusal(request: NodeRequest): PageRefusal | undefined {
    const { method, headers } = request;
    const { origin } = headers;
    const mayPass = origin === undefined ? method !== "GET" && method !== "HEAD" : this.#allows(origin);
    if (mayPass || this.#isOwnHost(authorityOf(request))) return undefined;
    return { kind: "host-refused", reason: hostReason(request) };
  }

  /**
   * A page of the relay's own origin has the relay's address in Origin and in Host, which a proxy must pass on as they
   * came. The scheme is compared only if this connection is encrypted, because a proxy may have ended TLS.
   */
  #originRefusal(request: NodeRequest): PageRefusal | undefined {
    const { origin } = request.headers;
    if (origin === undefined || this.#allows(origin)) return undefined;
    const host = authorityOf(request);
    if (!URL.canParse(origin) || new URL(origin).host !== host?.toLowerCase()) {
      const remedy = "allow the origin, or have the proxy pass Host on as it came";
      return { kind: "origin-refused", reason: `Origin is ${quoted(origin)} and Host ${quoted(host)}: ${remedy}` };
    }
    if (!this.#isOwnHost(host)) return { kind: "host-refused", reason: hostReason(request) };
    if (!isEncrypted(request) || origin.startsWith("https:")) return undefined;
    const reason = `Origin is ${quoted(origin)}, but the relay is asked over TLS: allow the origin`;
    return { kind: "origin-refused", reason };
  }

  #allows(origin: string): boolean {
    return this.#origins === "*" || this.#origins.includes(origin);
  }

  #isOwnHost(host: string | undefined): boolean {
    if (this.#hosts === "*") return true;
    const name = hostNameOf(host);
    return name !== undefined && this.#hosts.includes(name);
  }
}

function isPreflight({ method, headers }: NodeRequest): boolean {
  return method === "OPTIONS" && headers.origin !== undefined && "access-control-request-method" in headers;
}

function hostReason(request: NodeRequest): string {
  const remedy = "if it is one, add it to hosts, or to bss serve as --host-name";
  return `Host is ${quoted(authorityOf(request))}, which is none of the relay's names: ${remedy}`;
}
