import { Code } from "@connectrpc/connect";
import type { ChannelRequest, ChannelResponse } from "../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../link/channel/channel.js";
import { headersToWire } from "../../link/packet/header.js";
import { fromConnectError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred, isThenable } from "../../stream/platform/deferred.js";
import type { Caller } from "../../stream/stream.js";
import { setForwarded } from "../message/forwarded.js";
import {
  contentLength,
  endToEndHeaders,
  hasNoBody,
  isFinalStatus,
  isRefusedMethod,
  type RequestHead,
  requestFromWire,
  responseToWire,
} from "../message/head.js";
import { MessageBodies } from "../message/message-bodies.js";
import { ReceivedRequest } from "../message/received-message.js";
import { trailersToSend } from "../message/trailers.js";

/** The facts about a request that its headers cannot prove. */
export interface CallInfo {
  /** The facts that the relay has verified about the caller. */
  readonly caller: Caller | undefined;
}

/** Answers a request. Throwing, or rejecting, answers with 500. */
export interface HttpHandler {
  (request: Request, info: CallInfo): Response | Promise<Response>;
  /** The default of `headTimeoutMs`, for a handler whose calls have deadlines of their own. */
  headTimeoutMs?: number;
}

export interface ServingOptions {
  handler: HttpHandler;
  /** The handler has this long to answer; then the answer is 504. */
  headTimeoutMs: number;
  /** Told of an error of the handler, of which the caller hears no more than a status. */
  onError: (error: unknown, request: Request) => void;
  clock: Clock;
}

/** Serves one call on a channel. Resolves when the handler and its body have ended; never rejects. */
export async function serveCall(
  channel: Channel,
  wire: ChannelRequest,
  caller: Caller | undefined,
  options: ServingOptions,
): Promise<void> {
  const abort = new AbortController();
  const bodies: MessageBodies = new MessageBodies(channel, (reason) => {
    if (reason === undefined) bodies.abandon();
    else abort.abort(reason);
  });
  let head: RequestHead;
  try {
    head = requestFromWire(wire);
    bodies.expect(contentLength(head.headers));
    setForwarded(head, caller);
  } catch (reason) {
    return channel.reset(fromConnectError(reason));
  }
  if (isRefusedMethod(head.method)) return answerPlainly(channel, 501);
  const { method, scheme, authority, path, headers } = head;
  const hasBody = method !== "GET" && method !== "HEAD" && headers.get("content-length") !== "0";
  if (!hasBody) bodies.drop();
  const request = new ReceivedRequest({
    url: `${scheme}://${authority}${path}`,
    method,
    headers,
    body: hasBody ? bodies.received() : null,
    signal: abort.signal,
    bodies,
  });
  let answer: Answer;
  try {
    answer = await answerInTime(request, { caller }, abort, options);
  } catch (reason) {
    // The caller has gone, and nobody waits for an answer.
    if (bodies.isOver) return;
    if (reason === abort.signal.reason) return answerPlainly(channel, 504);
    // The caller has its answer also where `onError` throws.
    answerPlainly(channel, 500);
    return options.onError(reason, request);
  }
  try {
    await sendAnswer(channel, bodies, request, answer);
  } catch (reason) {
    void answer.response.body?.cancel(reason).catch(() => {});
    // A body that is made of the request's fails with it where the caller has gone.
    if (bodies.isOver) return;
    const message = "the body of the response failed";
    channel.reset(new StreamError(message, { code: Code.Internal, cause: reason }));
    options.onError(reason, request);
  }
}

/** A response and its head on the wire. */
interface Answer {
  response: Response;
  head: ChannelResponse;
}

/** Resolves with an answer that can be sent. Rejects if there is none, or none in time, which aborts the request. */
async function answerInTime(
  request: Request,
  info: CallInfo,
  abort: AbortController,
  { handler, headTimeoutMs, clock }: ServingOptions,
): Promise<Answer> {
  const late = new Deferred<never>();
  const onLate = () => {
    const message = `the handler has not answered within ${headTimeoutMs} ms`;
    const error = new StreamError(message, { code: Code.DeadlineExceeded });
    late.reject(error);
    abort.abort(error);
  };
  let stop = () => {};
  let answer: Response | Promise<Response> | undefined;
  try {
    answer = handler(request, info);
    // Many handlers answer at once, and a timer takes a browser 3 µs.
    if (isThenable(answer)) stop = clock.after(headTimeoutMs, onLate, false);
    const response = await Promise.race([answer, late.promise]);
    if (!isResponse(response)) throw new TypeError("the handler returned no Response");
    if (!isFinalStatus(response.status)) throw new TypeError(`no response may have the status ${response.status}`);
    if (response.bodyUsed || response.body?.locked) throw new TypeError("the response was read already");
    // Throws for a head that is too large, while another answer can still be given.
    return { response, head: responseToWire(response.status, response.headers) };
  } catch (reason) {
    // An answer that is too late, or that nobody waits for, has its body canceled.
    Promise.resolve(answer)
      .then((response) => response?.body?.cancel?.(reason))
      .catch(() => {});
    throw reason;
  } finally {
    stop();
  }
}

async function sendAnswer(
  channel: Channel,
  bodies: MessageBodies,
  request: Request,
  { response, head }: Answer,
): Promise<void> {
  const { status, headers, body } = response;
  channel.respond(head);
  if (hasNoBody(request.method, status)) void body?.cancel().catch(() => {});
  else if (body !== null) await bodies.send(body, contentLength(headers));
  channel.end(endToEndHeaders(headersToWire(await trailersToSend(response))));
}

/** Answers without the application. The words are those of the status, for a person. */
function answerPlainly(channel: Channel, status: 500 | 501 | 504): void {
  const words = { 500: "The handler failed.", 501: "The method is not served here.", 504: "The handler was too slow." };
  channel.respond(responseToWire(status, [["content-type", "text/plain; charset=utf-8"]]));
  channel.write(new TextEncoder().encode(`${words[status]}\n`));
  channel.end();
}

/** Not by its class: the response may be of another realm, or of a library. */
function isResponse(value: unknown): value is Response {
  const { status, headers } = (value ?? {}) as Partial<Response>;
  return typeof status === "number" && typeof headers?.get === "function";
}
