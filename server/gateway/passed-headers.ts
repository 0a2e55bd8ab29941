import { create } from "@bufbuild/protobuf";
import {
  type ChannelRequest,
  ChannelRequestSchema,
  type Header,
  HeaderSchema,
} from "../../gen/streamserver/v1/link_pb.js";
import { checkHead, endToEndHeaders } from "../../http/message/head.js";
import type { NodeRequest } from "../http/node-server.js";
import type { GatewayTarget } from "./gateway-target.js";
import { withoutVisitCookies } from "./visit/visit-cookie.js";

/**
 * Headers of a request that are the gateway's to set, or to use up. CGI and what descends from it take an underscore
 * for a hyphen.
 */
const ownRequestHeader = /^(host|expect|forwarded|proxy[-_]authorization|x[-_]forwarded[-_].*)$/;

/**
 * Headers of an answer that would act on more than the listener's own answer, by path and by host. A name's owner is a
 * stranger, and its next owner another one.
 */
const neverPassed = new Set([
  // The host would need TLS, or have another server, long after the name has another owner.
  "strict-transport-security",
  "alt-svc",
  // The browsers of the next owner's visitors would report their requests to this one.
  "nel",
  "report-to",
  // It clears the cookies of the whole registrable domain, which other names and the relay may have.
  "clear-site-data",
  // They are about this connection.
  "proxy-authenticate",
  "proxy-authentication-info",
  "http2-settings",
  // The gateway's own word about failures.
  "stream-error",
  // Orders for a proxy in front of the relay, to serve a file or another URL of its own.
  "x-sendfile",
  "x-lighttpd-send-file",
  "x-litespeed-location",
  "x-reproxy-url",
]);
/** Orders for nginx, such as X-Accel-Redirect. */
const neverPassedPrefix = "x-accel-";

/** Headers of an answer that would act on the whole origin, which by path all names share with the relay. */
const neverPassedByPath = new Set([
  "set-cookie",
  "service-worker-allowed",
  // A browser keeps a password for the whole origin, and shows whose it asks for as the relay's.
  "www-authenticate",
  "set-login",
  "secure-session-registration",
  "secure-session-challenge",
  "accept-ch",
  "critical-ch",
  "use-as-dictionary",
]);

/** How the headers of a request are passed on. */
export interface RequestFacts {
  target: GatewayTarget;
  scheme: "http" | "https";
  /** Whether the policy of the relay has used Authorization up. */
  dropsAuthorization: boolean;
}

/**
 * Returns the head of a request as the listener gets it. Throws FAILURE_FRAME_TOO_LARGE for one that it does not take.
 */
export function requestOf(request: NodeRequest, { target, scheme, dropsAuthorization }: RequestFacts): ChannelRequest {
  const { name: _, authority, path, prefix } = target;
  const given: Header[] = [];
  const cookies: string[] = [];
  const { rawHeaders } = request;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase();
    const value = rawHeaders[at + 1] as string;
    if (name.startsWith(":") || ownRequestHeader.test(name)) continue;
    if (dropsAuthorization && name === "authorization") continue;
    if (name === "cookie") cookies.push(value);
    else given.push(header(name, value));
  }
  const headers = [
    header(":method", request.method ?? "GET"),
    header(":scheme", scheme),
    header(":authority", authority),
    header("host", authority),
    ...endToEndHeaders(given),
  ];
  if (prefix !== "") headers.push(header("x-forwarded-prefix", prefix));
  // HTTP/2 has a header for each cookie. RFC 9113, section 8.2.3.
  const passedCookies = prefix === "" ? withoutVisitCookies(cookies.join("; ")) : "";
  if (passedCookies !== "") headers.push(header("cookie", passedCookies));
  checkHead("request", headers, path.length);
  return create(ChannelRequestSchema, { path, headers });
}

/**
 * Trailers that have nothing to do with framing, routing or the connection, and that HTTP knows: Node throws for any
 * other, over HTTP/2 in a turn of its own. RFC 9110, section 6.5.1.
 */
export function passedTrailers(trailers: Iterable<readonly [string, string]>): Header[] {
  const headers = Array.from(trailers, ([name, value]) => header(name.toLowerCase(), value));
  return endToEndHeaders(headers).filter(({ name, value }) => !neverTrailers.has(name) && isField(name, value));
}

const neverTrailers = new Set(["content-length", "host", "http2-settings", "set-cookie", "stream-error", "trailer"]);

/** Made by hand, because each request has some, and `create` takes a microsecond. */
function header(name: string, value: string): Header {
  return { $typeName: HeaderSchema.typeName, name, value };
}

const token = /^[\w!#$%&'*+.^`|~-]+$/;
/** The characters that a value may have. RFC 9110, section 5.5. */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

function isField(name: string, value: string): boolean {
  return token.test(name) && fieldValue.test(value);
}

/** Headers as Node writes them. */
export type NodeHeaders = Record<string, string | string[]>;

/**
 * Returns the headers of an answer as the caller gets them; undefined if they are none that HTTP knows. An answer to a
 * caller that a policy has let in is private to that caller.
 */
export function answerHeaders(
  headers: readonly Header[],
  target: GatewayTarget,
  audience: "anybody" | "caller",
): NodeHeaders | undefined {
  const passed: NodeHeaders = Object.create(null);
  const isByPath = target.prefix !== "";
  const lower = headers.map(({ name, value }) => header(name.toLowerCase(), value));
  for (const { name, value } of endToEndHeaders(lower)) {
    if (!isField(name, value)) return undefined;
    if (neverPassed.has(name) || name.startsWith(neverPassedPrefix)) continue;
    if (audience === "caller" && forSharedCaches.test(name)) continue;
    if (isByPath ? neverPassedByPath.has(name) : name === "set-cookie" && isForAnotherHost(value, target)) continue;
    const before = passed[name];
    if (before === undefined) passed[name] = value;
    else if (name === "content-length") return undefined;
    else if (Array.isArray(before)) before.push(value);
    else passed[name] = [before, value];
  }
  if (audience === "caller") passed["cache-control"] = privateCacheControl(passed["cache-control"]);
  if (isByPath) {
    // Its own policies stay, and a browser obeys all of them.
    const own = passed["content-security-policy"] ?? [];
    passed["content-security-policy"] = ["sandbox", ...(Array.isArray(own) ? own : [own])];
  }
  return passed;
}

/** Headers that are for shared caches alone: CDN-Cache-Control, which RFC 9213 defines, and those of single vendors. */
const forSharedCaches = /-cache-control$|^surrogate-control$|^edge-control$/;

/**
 * Returns Cache-Control without what lets shared caches keep an answer, and with what keeps it from them: a cache in
 * front of the relay does not ask the policy, and may not know which cookie or header has let the caller in.
 */
function privateCacheControl(given: string | string[] = []): string {
  const all = Array.isArray(given) ? given.join(",") : given;
  const directives = (all.match(/(?:"[^"]*"|[^,"])+/g) ?? []).map((directive) => directive.trim());
  const kept = directives.filter((each) => each !== "" && !/^(public|private|s-maxage)(=|$)/i.test(each));
  return ["private", ...kept].join(", ");
}

/** Whether a cookie is for more hosts than the listener's own. */
function isForAnotherHost(cookie: string, { authority }: GatewayTarget): boolean {
  const host = authority.toLowerCase().replace(/:\d*$/, "");
  return cookie
    .split(";")
    .slice(1)
    .some((attribute) => {
      const [, domain = ""] = /^\s*domain\s*=\s*\.?(.*?)\s*$/i.exec(attribute) ?? [];
      return domain !== "" && domain.toLowerCase() !== host;
    });
}
