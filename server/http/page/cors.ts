import type { IncomingMessage, ServerResponse } from "node:http";
import { cors as connectCors } from "@connectrpc/connect";
import cors from "cors";
import { errorIdHeader } from "../../relay/error-id.js";
import type { NodeRequest, NodeResponse } from "../node-server.js";

/** Origins as browsers send them, such as "https://example.com", or "*" for all. */
export type Origins = readonly string[] | "*";

export type CorsFilter = (request: NodeRequest, response: NodeResponse, next: () => void) => void;

/** The headers of the gateway's own answers that tell programs of a failure. */
const failureHeaders = ["stream-error", "retry-after"];

/** How long a browser may remember the answer to a preflight: two hours is the most that Chromium takes. */
const maxAgeSeconds = 7200;

/**
 * Throws a RangeError for an origin that lets nobody in, such as one with a path or a wildcard, and for one that lets
 * in more than it seems to: "null" and "file://" are the origin of any page in a sandboxed frame or a file. A single
 * string is refused too, because it lets in every origin that is a part of it.
 */
export function checkOrigins(origins: unknown): void {
  if (origins === "*") return;
  const wrong = Array.isArray(origins) ? origins.filter((origin) => !isOrigin(origin)) : [origins];
  if (wrong.length === 0) return;
  const what = wrong.map((origin) => JSON.stringify(origin)).join(", ");
  throw new RangeError(
    `origins are "*" or a list such as ["https://example.com"], each a scheme, a host and perhaps a port, not ${what}`,
  );
}

function isOrigin(text: unknown): boolean {
  if (typeof text !== "string" || !URL.canParse(text)) return false;
  const { origin, protocol, host } = new URL(text);
  if (host === "" || host.includes("*")) return false;
  // By the URL standard a scheme such as that of browser extensions has no origin, but browsers send one.
  return text === (origin === "null" ? `${protocol}//${host}` : origin);
}

/**
 * Lets pages of other origins in. Every RPC has a content type for which a browser sends a preflight, so a page of an
 * origin that is not allowed never gets to send a request.
 */
export function createCorsFilter(origins: Origins): CorsFilter {
  const filter = cors({
    origin: origins === "*" ? "*" : [...origins],
    methods: [...connectCors.allowedMethods],
    allowedHeaders: [...connectCors.allowedHeaders],
    exposedHeaders: [...connectCors.exposedHeaders, errorIdHeader],
    maxAge: maxAgeSeconds,
  });
  // The types of the cors package are those of http; it calls nothing that the compatibility API of http2 lacks.
  return (request, response, next) => filter(request as IncomingMessage, response as ServerResponse, next);
}

/**
 * Lets pages of `origins` read the gateway's own answers, and allows their preflights, for the method and the headers
 * that a preflight names. It allows none for calls with cookies, and browsers remember an answer no longer than their
 * own 5 s.
 */
export function createGatewayCorsFilter(origins: Origins): CorsFilter {
  const filter = cors(({ headers }, done) =>
    done(null, {
      origin: origins === "*" ? "*" : [...origins],
      methods: headers["access-control-request-method"] ?? [],
      exposedHeaders: failureHeaders,
      preflightContinue: true,
    }),
  );
  return (request, response, next) => filter(request as IncomingMessage, response as ServerResponse, next);
}
