import type { IncomingMessage } from "node:http";
import type { NodeRequest } from "../http/node-server.js";
import { authorityOf } from "../http/request/request-urls.js";
import { type CheckedGatewayOptions, gatewayPath } from "./gateway-options.js";

/** The listener that a request is for, and the request's path there. */
export interface GatewayTarget {
  kind: "listener";
  name: string;
  /** The host and port of the public URL. */
  authority: string;
  /** The path and the query below the prefix. */
  path: string;
  /** The part of the public path that stands before. Empty by host. */
  prefix: string;
}

/** Where a request for the gateway leads. */
export type GatewayRoute =
  | GatewayTarget
  /** The URL of a listener without the slash behind its name, from which relative links of a page lead elsewhere. */
  | { kind: "moved"; location: string; target: GatewayTarget }
  | { kind: "refused"; status: 400 | 404; message: string };

/** A target in absolute form. RFC 9112, section 3.2.2. */
const absoluteForm = /^https?:\/\/([^/?#]*)(.*)$/is;
/**
 * The characters that URLs have on the wire. A backslash is a slash for the URL parsers of some and none for others,
 * and a fragment never travels.
 */
export const targetCharacters = /^[!"$-[\]-~]*$/;
/** Segments that programs remove, plain or encoded. RFC 3986, section 5.2.4, and the URL standard. */
export const dotSegment = /(^|\/)(\.|%2e){1,2}(\/|$)/i;
/** A host, or an address in brackets, and perhaps a port. */
const authorityForm = /^([\w.%-]+|\[[\w.:%]+\])(:\d*)?$/;
/** The part of an authority that looks like a host, whatever follows. */
const hostPart = /^(.*@)?(\[[^\]]*\]|[^:/?#\\\s]*)/;
/** A label of DNS. RFC 1123, section 2.1. */
export const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** Tells which listener a request is for; undefined if it is not the gateway's. */
export function gatewayRoute(
  request: NodeRequest | IncomingMessage,
  options: CheckedGatewayOptions,
  isOwnHost: (host: string) => boolean,
): GatewayRoute | undefined {
  return options.by === "path" ? routeByPath(request, gatewayPath) : routeByHost(request, options.hosts, isOwnHost);
}

/** Finds a name behind the first part of a path, `root`. */
export function routeByPath(request: NodeRequest | IncomingMessage, root: string): GatewayRoute | undefined {
  const { url = "", originalUrl } = request as { url?: string; originalUrl?: unknown };
  const [, targetAuthority, rest = url] = url.startsWith("/") ? [] : (absoluteForm.exec(url) ?? []);
  if (!rest.startsWith(root)) return undefined;
  const authority = authorityIn(request, targetAuthority);
  if (authority === undefined) return wrongHost;
  const [path = "", query] = splitQuery(rest);
  const nameEnd = path.indexOf("/", root.length);
  const segment = path.slice(root.length, nameEnd < 0 ? undefined : nameEnd);
  const below = nameEnd < 0 ? "" : path.slice(nameEnd);
  if (!targetCharacters.test(rest) || dotSegment.test(`/${segment}${below}`)) return wrongTarget;
  const name = decoded(segment);
  if (name === undefined || name === "") return wrongTarget;
  const prefix = `${mountPath(url, originalUrl)}${root}${segment}`;
  const target: GatewayTarget = { kind: "listener", name, authority, path: (below || "/") + query, prefix };
  if (below !== "") return target;
  // Relative, because a proxy in front may have more of the path. A segment with a colon would begin with a scheme.
  return { kind: "moved", location: `./${segment}/${query}`, target };
}

/** Finds a name in the host, one label below one of `hosts`. */
export function routeByHost(
  request: NodeRequest | IncomingMessage,
  hosts: readonly string[],
  isOwnHost: (host: string) => boolean,
): GatewayRoute | undefined {
  const { url = "" } = request;
  const [, targetAuthority, rest = url] = url.startsWith("/") ? [] : (absoluteForm.exec(url) ?? []);
  const asked = targetAuthority ?? authorityOf(request) ?? "";
  const hostName = hostNameIn(asked);
  const host = hosts.find((each) => hostName.endsWith(`.${each}`));
  if (host === undefined || isOwnHost(hostName)) return undefined;
  const authority = authorityIn(request, targetAuthority);
  if (authority === undefined) return wrongHost;
  const name = hostName.slice(0, -host.length - 1);
  if (!label.test(name))
    return { kind: "refused", status: 404, message: "A host has the name of a listener as one label." };
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  const isTarget = rest === "" || rest.startsWith("/") || rest.startsWith("?");
  if (!isTarget || !targetCharacters.test(path) || dotSegment.test(splitQuery(path)[0])) return wrongTarget;
  return { kind: "listener", name, authority, path, prefix: "" };
}

/** Returns which of the hosts above names a request has come to, or come below; the first one for another. */
export function hostOfNames(authority: string, hosts: readonly string[]): string {
  const asked = `.${hostNameIn(authority)}`;
  return hosts.find((each) => asked.endsWith(`.${each}`)) ?? hosts[0] ?? "";
}

function hostNameIn(authority: string): string {
  const [, , host = ""] = hostPart.exec(authority.toLowerCase()) ?? [];
  return host.replace(/\.$/, "");
}

const wrongHost: GatewayRoute = {
  kind: "refused",
  status: 400,
  message: "The request names two hosts, none, or one that is malformed.",
};
const wrongTarget: GatewayRoute = {
  kind: "refused",
  status: 400,
  message: "The path of the request is malformed, or has segments of dots.",
};

/** The host that a request names, in whichever places it does so; undefined if they differ. */
function authorityIn(request: NodeRequest | IncomingMessage, targetAuthority: string | undefined): string | undefined {
  const authority = authorityOf(request);
  const all = [authority, ...hostsOf(request), targetAuthority ?? authority].map((each) => each?.toLowerCase());
  if (authority === undefined || all.some((each) => each !== all[0]) || !authorityForm.test(authority)) {
    return undefined;
  }
  return authority;
}

/** The values of Host. Node gives out the first one, and a proxy in front may go by another. */
function hostsOf({ rawHeaders }: NodeRequest | IncomingMessage): string[] {
  // A stream of HTTP/2 that was reset has none.
  const raw = (rawHeaders as string[] | undefined) ?? [];
  return raw.filter((_, at) => at % 2 === 1 && raw[at - 1]?.toLowerCase() === "host");
}

/** The path at which a framework has mounted the handler. */
function mountPath(url: string, originalUrl: unknown): string {
  const isMounted = typeof originalUrl === "string" && originalUrl.endsWith(url) && targetCharacters.test(originalUrl);
  return isMounted ? originalUrl.slice(0, -url.length) : "";
}

/** A path, and its query with the question mark. */
function splitQuery(target: string): [path: string, query: string] {
  const at = target.indexOf("?");
  return at < 0 ? [target, ""] : [target.slice(0, at), target.slice(at)];
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
