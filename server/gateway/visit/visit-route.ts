import type { IncomingMessage } from "node:http";
import type { NodeRequest } from "../../http/node-server.js";
import { type CheckedGatewayOptions, visitPath } from "../gateway-options.js";
import { dotSegment, gatewayRoute, hostOfNames, label, routeByPath, targetCharacters } from "../gateway-target.js";

/** A request for something of the gateway's own about a name. */
export interface VisitRoute {
  kind: "visit";
  name: string;
  /** The host and port of the public URL. */
  authority: string;
  /** The path of the request without the name and its slash: empty, or a code, or {@link firstVisit}. */
  rest: string;
  query: URLSearchParams;
  /** The path of the request up to the name. */
  prefix: string;
  /**
   * Whether cookies of the name can be set there. By host the relay's own host has links made, and those of names have
   * them opened.
   */
  isAtName: boolean;
}

/** The last part of the path to which the button of the page before the first visit leads. */
export const firstVisit = "first";

/** Returns what a request for the gateway's own asks for; undefined if it does not. */
export function visitRoute(
  request: NodeRequest | IncomingMessage,
  options: CheckedGatewayOptions,
  isOwnHost: (host: string) => boolean,
): VisitRoute | undefined {
  if (request.url?.includes(visitPath) !== true) return undefined;
  const route = routeByPath(request, visitPath);
  if (route === undefined || route.kind === "refused") return undefined;
  const { name, authority, path, prefix } = route.kind === "moved" ? route.target : route;
  const [below = "", query = ""] = path.split("?", 2);
  const host = options.by === "host" ? gatewayRoute(request, options, isOwnHost) : undefined;
  // On the host of another name the path is the listener's, and so is one that is malformed.
  if (host !== undefined && (host.kind !== "listener" || host.name !== name)) return undefined;
  const isAtName = options.by === "path" || host !== undefined;
  return { kind: "visit", name, authority, rest: below.slice(1), query: new URLSearchParams(query), prefix, isAtName };
}

/** The place of a name: the path of its root, with a slash at its end, and the origin if it is another one. */
export interface NamePlace {
  origin: string;
  root: string;
}

/**
 * Returns where a name is: below `mountPath` of its origin by path, and in a host of its own by host. Undefined for a
 * name that no host can have.
 */
export function placeOf(
  { name, authority, prefix, isAtName }: VisitRoute,
  options: CheckedGatewayOptions,
  scheme: "http" | "https",
): NamePlace | undefined {
  if (options.by === "path") {
    const mountPath = prefix.slice(0, prefix.lastIndexOf(visitPath));
    return { origin: `${scheme}://${authority}`, root: `${mountPath}/~/${encodeURIComponent(name)}/` };
  }
  if (isAtName) return { origin: `${scheme}://${authority}`, root: "/" };
  if (!label.test(name)) return undefined;
  const port = /:\d+$/.exec(authority)?.[0] ?? "";
  return { origin: `${scheme}://${name}.${hostOfNames(authority, options.hosts)}${port}`, root: "/" };
}

/** Whether a path, with its query, is one below the root of a name: nothing else may be what a button leads to. */
export function isBelow(root: string, path: string): boolean {
  return (
    path.startsWith(root) &&
    !path.startsWith("//") &&
    targetCharacters.test(path) &&
    !dotSegment.test(path.split("?", 1)[0] ?? "")
  );
}
