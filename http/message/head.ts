import { create } from "@bufbuild/protobuf";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import {
  type ChannelRequest,
  ChannelRequestSchema,
  type ChannelResponse,
  ChannelResponseSchema,
  type Header,
} from "../../gen/streamserver/v1/link_pb.js";
import { headBytes, headersFromWire, headersToWire } from "../../link/packet/header.js";
import { StreamError } from "../../stream/error/stream-error.js";

/**
 * The largest head of a request or a response, path included. A packet without data takes as much; the 32 bytes that
 * each header counts for beside its characters are more than the packet spends on it.
 */
export const maxHttpHeadBytes = 65_536;

/** The head of a request. The path has the query, and begins with a slash. */
export interface RequestHead {
  method: string;
  scheme: string;
  authority: string;
  path: string;
  headers: Headers;
}

/** Headers of one connection, which no program passes on. RFC 9110, section 7.6.1. */
const hopByHop = /^(connection|keep-alive|proxy-connection|te|transfer-encoding|upgrade)$/i;

/**
 * Returns the headers, in lower case, without those of one connection, which are also the ones that Connection names.
 */
export function endToEndHeaders(headers: readonly Header[]): Header[] {
  const named = new Set(
    headers.filter(({ name }) => name === "connection").flatMap(({ value }) => value.toLowerCase().split(/\s*,\s*/)),
  );
  return headers.filter(({ name }) => !hopByHop.test(name) && !named.has(name));
}

/**
 * Returns what tells whether a header, in lower case, is one of the connection only. `connection` names more of them.
 */
export function isHopByHop(connection = ""): (name: string) => boolean {
  const named = connection.split(",").map((each) => each.trim().toLowerCase());
  return (name) => hopByHop.test(name) || named.includes(name);
}

/** Throws FAILURE_FRAME_TOO_LARGE for a head that the peer does not take. */
export function requestToWire({ method, scheme, authority, path, headers }: RequestHead): ChannelRequest {
  const pseudo = { ":method": method, ":scheme": scheme, ":authority": authority };
  const wire = [...headersToWire(Object.entries(pseudo)), ...endToEndHeaders(headersToWire(headers))];
  checkHead("request", wire, path.length);
  return create(ChannelRequestSchema, { path, headers: wire });
}

/** Throws FAILURE_PROTOCOL_VIOLATION for what HTTP does not know. */
export function requestFromWire({ path, headers }: ChannelRequest): RequestHead {
  const pseudo = new Map(headers.map(({ name, value }) => [name, value]));
  const pseudoHeader = (name: string) => pseudo.get(name) ?? "";
  const method = pseudoHeader(":method");
  const scheme = pseudoHeader(":scheme");
  const authority = pseudoHeader(":authority");
  const others = headers.filter(({ name }) => !name.startsWith(":"));
  const isKnown = isToken(method) && /^https?$/.test(scheme) && isAuthority(authority) && path.startsWith("/");
  if (!isKnown || !URL.canParse(`${scheme}://${authority}${path}`))
    throw violation("a request without a URL or method");
  return { method, scheme, authority, path, headers: headersFromWire(endToEndHeaders(others)) };
}

/** Throws FAILURE_FRAME_TOO_LARGE for a head that the peer does not take. */
export function responseToWire(status: number, headers: Iterable<[string, string]>): ChannelResponse {
  const wire = endToEndHeaders(headersToWire(headers));
  checkHead("response", wire, 0);
  return create(ChannelResponseSchema, { status, headers: wire });
}

/** Throws FAILURE_PROTOCOL_VIOLATION for what HTTP does not know. */
export function responseFromWire({ status, headers }: ChannelResponse): { status: number; headers: Headers } {
  if (!isFinalStatus(status)) throw violation(`a response with the status ${status}`);
  return { status, headers: headersFromWire(endToEndHeaders(headers)) };
}

/** Whether a response may have the status: one of a single response, as a `Response` can have. */
export function isFinalStatus(status: number): boolean {
  return status >= 200 && status <= 599;
}

/** Whether a response to the method with the status has no body, whatever its headers say. */
export function hasNoBody(method: string, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 205 || status === 304;
}

/** The length that the headers declare; undefined if they declare none. Throws FAILURE_PROTOCOL_VIOLATION for two. */
export function contentLength(headers: Headers): number | undefined {
  const value = headers.get("content-length");
  if (value === null) return undefined;
  if (!/^\d{1,15}$/.test(value)) throw violation("a Content-Length that is no length");
  return Number(value);
}

/** The error of a message that breaks the rules of HTTP. */
export function violation(message: string): StreamError {
  return new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION });
}

/** Whether a word is a token, as methods and the names of headers are. RFC 9110, section 5.6.2. */
export function isToken(word: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(word);
}

/** Whether a method is about a connection, so that no `Request` can have it, in small letters either. */
export function isRefusedMethod(method: string): boolean {
  return /^(connect|trace|track)$/i.test(method);
}

/**
 * A host with a port in ASCII, as a header can have it, and nothing that a URL takes for something else: no slash, "?",
 * "#", "@" or backslash.
 */
function isAuthority(authority: string): boolean {
  return /^[!"$-.0->A-[\]-~]+$/.test(authority);
}

/** Throws FAILURE_FRAME_TOO_LARGE for a head that the peer does not take. */
export function checkHead(of: "request" | "response", headers: readonly Header[], pathBytes: number): void {
  // A header holds characters of Latin-1, of which half take two bytes in UTF-8.
  const wideBytes = headers.reduce((sum, { value }) => sum + (value.match(/[\x80-\xff]/g)?.length ?? 0), 0);
  const bytes = headBytes(headers) + pathBytes + wideBytes;
  if (bytes <= maxHttpHeadBytes) return;
  throw new StreamError(`the head of the ${of} has ${bytes} bytes, more than ${maxHttpHeadBytes}`, {
    failure: Failure.FRAME_TOO_LARGE,
  });
}
