import { Code } from "@connectrpc/connect";
import { Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { ChannelRequest } from "../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../link/channel/channel.js";
import { headersToWire } from "../../link/packet/header.js";
import { fromConnectError } from "../../stream/error/failure-detail.js";
import { invalidArgumentError } from "../../stream/error/options.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { formBlob } from "../message/form-blob.js";
import {
  contentLength,
  endToEndHeaders,
  hasNoBody,
  isRefusedMethod,
  isToken,
  requestToWire,
  responseFromWire,
} from "../message/head.js";
import { MessageBodies } from "../message/message-bodies.js";
import { ReceivedResponse } from "../message/received-message.js";
import { trailersToSend } from "../message/trailers.js";

/** A relative URL is resolved against this one. The host stands for the listener, which may have any name. */
const baseUrl = "http://localhost";

export interface FetchCallOptions {
  /** Opens a channel. Rejects as `fetch` does when the signal is aborted. */
  openChannel: (request: ChannelRequest, signal: AbortSignal | undefined) => Promise<Channel>;
  /** The listener has this long for the head of its response. */
  headTimeoutMs: number;
  clock: Clock;
}

/** A request as `fetch` takes it, put together from its two arguments. */
interface GivenRequest {
  url: URL;
  method: string;
  headers: Headers;
  body: ReadableStream<Uint8Array> | null;
  /** The bytes of the body, where they are known. */
  bodyBytes: number | undefined;
  signal: AbortSignal | undefined;
}

/** Calls the listener as `fetch` calls a server. */
export async function fetchCall(
  input: RequestInfo | URL,
  init: RequestInit | undefined,
  { openChannel, headTimeoutMs, clock }: FetchCallOptions,
): Promise<Response> {
  const { url, method, headers, body, bodyBytes, signal } = givenRequest(input, init);
  signal?.throwIfAborted();
  const wire = requestToWire({
    method,
    scheme: url.protocol.slice(0, -1),
    authority: url.host,
    path: url.pathname + url.search,
    headers,
  });
  const channel = await openChannel(wire, signal);
  const bodies = new MessageBodies(channel, () => {});
  const onAbort = () => bodies.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const settle = () => signal?.removeEventListener("abort", onAbort);
  bodies.whole.promise.then(settle, settle);
  // The signal may have been aborted while the channel was handed on.
  if (signal?.aborted) onAbort();
  const message = isRequest(input) ? input : undefined;
  void sendRequest(channel, bodies, body, bodyBytes, message);
  const stop = clock.after(headTimeoutMs, () => bodies.abort(lateError(headTimeoutMs)), false);
  try {
    const answer = await channel.response.promise;
    return receiveResponse(bodies, url, method, responseFromWire(answer));
  } catch (reason) {
    bodies.abort(fromConnectError(reason));
    if (signal?.aborted) throw signal.reason;
    // The reason that this side gave comes first: a body that failed, or a deadline.
    throw bodies.reason ?? fromConnectError(reason);
  } finally {
    stop();
  }
}

/** Sends the request. A body that fails ends the call, with its reason. */
async function sendRequest(
  channel: Channel,
  bodies: MessageBodies,
  body: ReadableStream<Uint8Array> | null,
  bytes: number | undefined,
  message: Request | undefined,
): Promise<void> {
  try {
    if (body !== null) await bodies.send(body, bytes);
    channel.end(endToEndHeaders(headersToWire(await trailersToSend(message))));
  } catch (reason) {
    bodies.abort(reason);
  }
}

function receiveResponse(
  bodies: MessageBodies,
  url: URL,
  method: string,
  { status, headers }: ReturnType<typeof responseFromWire>,
): Response {
  const isEmpty = hasNoBody(method, status);
  bodies.expect(isEmpty ? 0 : contentLength(headers));
  if (isEmpty) bodies.drop();
  return new ReceivedResponse(isEmpty ? null : bodies.received(), { url: url.href, status, headers, bodies });
}

/**
 * Reads the arguments of `fetch`. No `Request` is made of them, because browsers drop headers from it, and Firefox
 * takes no stream for its body.
 */
function givenRequest(input: RequestInfo | URL, init: RequestInit = {}): GivenRequest {
  const request = isRequest(input) ? input : undefined;
  const url = urlOf(request?.url ?? String(input));
  const method = methodOf(init.method ?? request?.method ?? "GET");
  const headers = new Headers(init.headers ?? request?.headers);
  const signal = init.signal ?? request?.signal;
  const given = init.body instanceof FormData ? formBlob(init.body) : (init.body ?? undefined);
  const content = given === undefined ? undefined : new Response(given);
  const body = (content ? content.body : request && requestBody(request, method)) ?? null;
  if (body !== null && (method === "GET" || method === "HEAD")) {
    throw invalidArgumentError(`a request of the method ${method} has no body`);
  }
  const type = content?.headers.get("content-type");
  if (type && !headers.has("content-type")) headers.set("content-type", type);
  const bodyBytes = given === undefined ? undefined : bytesOf(given);
  if (bodyBytes !== undefined) headers.set("content-length", String(bodyBytes));
  else if (body === null && /^(POST|PUT|PATCH)$/.test(method)) headers.set("content-length", "0");
  return { url, method, headers, body, bodyBytes, signal };
}

/** The body of a request as a stream. In Firefox a request has none, and is read whole when it is asked for. */
function requestBody(request: Request, method: string): ReadableStream<Uint8Array> | null {
  if (request.body !== undefined || method === "GET" || method === "HEAD") return request.body;
  return new ReadableStream({
    async pull(controller) {
      controller.enqueue(new Uint8Array(await request.arrayBuffer()));
      controller.close();
    },
  });
}

function isRequest(input: RequestInfo | URL): input is Request {
  return typeof input === "object" && "headers" in input;
}

function urlOf(text: string): URL {
  const url = URL.canParse(text, baseUrl) ? new URL(text, baseUrl) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    throw invalidArgumentError("the URL of a request is a path, or of http or https without a password");
  }
  return url;
}

/** As `fetch` writes the usual methods, whatever their case. */
function methodOf(method: string): string {
  const upper = method.toUpperCase();
  if (isRefusedMethod(upper) || !isToken(method)) {
    throw invalidArgumentError("the method of a request is a token, and not CONNECT, TRACE or TRACK");
  }
  return /^(DELETE|GET|HEAD|OPTIONS|POST|PUT)$/.test(upper) ? upper : method;
}

/** The length of a body that is in memory, and is sent as it is. */
function bytesOf(body: BodyInit): number | undefined {
  if (typeof body === "string") return new TextEncoder().encode(body).byteLength;
  if (body instanceof Blob) return body.size;
  return (body as Partial<ArrayBuffer>).byteLength;
}

function lateError(headTimeoutMs: number): StreamError {
  const message = `the listener has sent no response within ${headTimeoutMs} ms`;
  return new StreamError(message, { code: Code.DeadlineExceeded, hop: Hop.PEER });
}
