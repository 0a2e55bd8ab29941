import type { ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { ChannelResponse } from "../../gen/streamserver/v1/link_pb.js";
import { hasNoBody, isFinalStatus } from "../../http/message/head.js";
import type { Channel } from "../../link/channel/channel.js";
import type { ChannelUser } from "../../link/channel/channel-user.js";
import { headBytes } from "../../link/packet/header.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { Caller } from "../admission/caller.js";
import type { Holder } from "../admission/held-bytes.js";
import { exceededLimit } from "../admission/limits.js";
import type { NodeRequest, NodeResponse } from "../http/node-server.js";
import { unsentBytes, waitingBytes } from "../http/waiting-bytes.js";
import type { CallBytes } from "../relay/relay-events.js";
import { setStatus } from "./failure-answer.js";
import type { GatewayTarget } from "./gateway-target.js";
import { answerHeaders, passedTrailers } from "./passed-headers.js";

export interface GatewayCallInit {
  target: GatewayTarget;
  channel: Channel;
  request: NodeRequest;
  response: NodeResponse;
  /** Tells the caller of the failure of its call. */
  fail: (error: StreamError) => void;
  /** The listener has this long for the head of its answer. */
  headTimeoutMs: number;
  /** The request may have a body of so many bytes. */
  maxBodyBytes: number;
  /** The readers of the answer, for caches in front of the relay: only its caller, where a policy has let that in. */
  audience: "anybody" | "caller";
  clock: Clock;
  caller: Caller;
}

type GatewayCallState =
  /** The head of the answer has not come. */
  | { kind: "waiting"; cancelDeadline: () => void }
  /** The bytes that are still to come, where the head has said how many. */
  | { kind: "answering"; leftBytes: number | undefined }
  | { kind: "over" };

/**
 * A request of HTTP on its way to a listener, and the answer on its way back: bytes as they come, at the reader's pace.
 */
export class GatewayCall implements ChannelUser, Holder {
  readonly caller: Caller;
  readonly #init: GatewayCallInit;
  readonly #channel: Channel;
  readonly #request: NodeRequest;
  /** Responses of HTTP/2 have the same methods, with parameters of other types. */
  readonly #response: ServerResponse;
  #state: GatewayCallState;
  /** The bytes of the two bodies that have gone on so far. */
  readonly bytes: CallBytes = { request: 0, answer: 0 };

  constructor(init: GatewayCallInit) {
    this.#init = init;
    this.caller = init.caller;
    const { channel, request, response, clock, headTimeoutMs } = init;
    this.#channel = channel;
    this.#request = request;
    this.#response = response as ServerResponse;
    const onLate = () => this.#fail(lateError(headTimeoutMs));
    this.#state = { kind: "waiting", cancelDeadline: clock.after(headTimeoutMs, onLate, false) };
    response.on("close", () => this.#onCallerGone());
    // A stream of HTTP/2 that its client has reset without an error ends like a whole request, and closes later.
    request.on("aborted", () => this.#onCallerGone());
    response.on("drain", () => channel.resume());
    // "close" follows.
    response.on("error", () => {});
    channel.pause();
    channel.use(this);
    channel.response.promise.then(
      (answer) => this.#answer(answer),
      () => {},
    );
    this.#sendRequest();
  }

  get heldBytes(): number {
    return waitingBytes(this.#request, this.#init.response) + this.#channel.waitingBytes;
  }

  get passedBytes(): number {
    return unsentBytes(this.#init.response) > 0 ? this.bytes.answer : this.bytes.request;
  }

  endHeld(error: StreamError): void {
    if (this.isOver) this.#init.fail(error);
    else this.#fail(error);
  }

  onData(chunk: Uint8Array): void {
    const state = this.#state;
    if (state.kind !== "answering") return;
    if (state.leftBytes !== undefined) {
      if (chunk.byteLength > state.leftBytes)
        return this.#fail(brokenAnswerError("the answer is longer than its Content-Length"));
      state.leftBytes -= chunk.byteLength;
    }
    this.bytes.answer += chunk.byteLength;
    const isTaken = this.#response.write(chunk);
    if (!isTaken) this.#channel.pause();
  }

  onEnd(): void {
    const state = this.#state;
    if (state.kind !== "answering") return;
    if (state.leftBytes) {
      return this.#fail(brokenAnswerError("the answer is shorter than its Content-Length"));
    }
    this.#set({ kind: "over" });
    const trailers = passedTrailers(this.#channel.trailer);
    if (trailers.length > 0) {
      this.#response.addTrailers(Object.fromEntries(trailers.map(({ name, value }) => [name, value])));
      // Node ends an answer of HTTP/2 that has no body with its head, without trailers.
      this.#flushHead();
    }
    this.#response.end();
  }

  onDrain(): void {
    this.#request.resume();
  }

  onClosed(error: StreamError | undefined): void {
    if (error !== undefined) this.#fail(isOfListener(error) ? brokenAnswerError(error.message, error) : error);
  }

  #sendRequest(): void {
    const request = this.#request;
    if (!hasBody(request)) {
      // The end goes along with the head. Node calls a request complete only when its end was read.
      this.#channel.end();
      return void request.resume();
    }
    const { maxBodyBytes } = this.#init;
    let leftBytes = maxBodyBytes;
    request.on("data", (chunk: Uint8Array) => {
      leftBytes -= chunk.byteLength;
      this.bytes.request += chunk.byteLength;
      if (leftBytes < 0) return this.#fail(bodyTooLargeError(maxBodyBytes));
      if (!this.#channel.write(chunk)) request.pause();
    });
    request.on("end", () => {
      this.#channel.end(passedTrailers(pairs(request.rawTrailers)));
    });
    // The response is closed as well.
    request.on("error", () => {});
  }

  #answer({ status, headers }: ChannelResponse): void {
    if (this.#state.kind !== "waiting") return;
    if (headBytes(headers) > maxAnswerHeadBytes) {
      return this.#fail(brokenAnswerError(`the head of the answer has more than ${maxAnswerHeadBytes} bytes`));
    }
    const { target, audience } = this.#init;
    const passed = isFinalStatus(status) ? answerHeaders(headers, target, audience) : undefined;
    const length = passed?.["content-length"];
    if (passed === undefined || (length !== undefined && !/^\d{1,15}$/.test(String(length)))) {
      return this.#fail(brokenAnswerError(unknownHead));
    }
    const hasBody = !hasNoBody(this.#request.method ?? "GET", status);
    if (!hasBody && this.#request.method !== "HEAD") delete passed["content-length"];
    // Over HTTP/1.1 trailers go behind chunks, and Node throws for their announcement anywhere else.
    if (!this.#hasChunks(hasBody, length)) delete passed.trailer;
    const leftBytes = length === undefined || !hasBody ? undefined : Number(length);
    this.#set({ kind: "answering", leftBytes });
    try {
      setStatus(this.#init.response, status);
      this.#response.writeHead(status, passed);
    } catch (cause) {
      // Node has kept the headers, and would throw for them again with the head of the failure.
      for (const name of this.#response.getHeaderNames()) this.#response.removeHeader(name);
      return this.#fail(brokenAnswerError(unknownHead, cause));
    }
    if (!hasBody) return this.#endWithHead();
    this.#channel.resume();
    // A head whose body comes later is not held back.
    if (!this.isOver) this.#flushHead();
  }

  /** Ends an answer that has no body, whatever the listener sends behind the head. */
  #endWithHead(): void {
    this.#set({ kind: "over" });
    this.#response.end();
    // Does nothing where the listener has ended its answer.
    this.#channel.reset(new StreamError("the answer has no body", { code: Code.Canceled, hop: Hop.CALLER }));
  }

  /** Whether an answer can have trailers. */
  #hasChunks(hasBody: boolean, length: unknown): boolean {
    if ("stream" in this.#init.response) return true;
    return hasBody && length === undefined && this.#request.httpVersion !== "1.0";
  }

  /**
   * Sends the head without waiting for the body. Over HTTP/1.1, Node's `flushHeaders` writes it as UTF-8, in which a
   * character of Latin-1 takes two bytes, where a head that goes out with anything else is Latin-1.
   */
  #flushHead(): void {
    if ("stream" in this.#init.response) this.#response.flushHeaders();
    else this.#response.write("", "latin1");
  }

  /** Whether the call has its answer, or has failed. Bytes may still wait for the caller. */
  get isOver(): boolean {
    return this.#state.kind === "over";
  }

  #onCallerGone(): void {
    if (this.isOver) return;
    this.#set({ kind: "over" });
    this.#channel.reset(callerGoneError());
  }

  #fail(error: StreamError): void {
    if (this.isOver) return;
    this.#set({ kind: "over" });
    this.#channel.reset(error);
    this.#init.fail(error);
  }

  #set(state: GatewayCallState): void {
    if (this.#state.kind === "waiting") this.#state.cancelDeadline();
    this.#state = state;
    // Nobody takes the rest of the request, and Node keeps it until it was read.
    if (state.kind === "over") this.#request.resume();
  }
}

/** Whether a request has a body, which may be empty. RFC 9112, section 6.3. */
function hasBody(request: NodeRequest): boolean {
  if ("stream" in request) return !(request.stream as ServerHttp2Stream).endAfterHeaders;
  const { "content-length": length = "0", "transfer-encoding": encoding } = request.headers;
  return encoding !== undefined || length !== "0";
}

function pairs(raw: readonly string[]): [string, string][] {
  const result: [string, string][] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) result.push([String(raw[at]), String(raw[at + 1])]);
  return result;
}

/**
 * The largest head of an answer. Node closes a connection of HTTP/2, with all its calls, for a head of more than 64
 * KiB; the last KiB is for the headers that the gateway and Node add.
 */
const maxAnswerHeadBytes = 64_512;

const unknownHead = "the listener sends a head that HTTP does not know";

/**
 * Whether the channel has found the error in what the listener sends. A refusal of what the caller sends is a reset.
 */
function isOfListener({ failure, hop }: StreamError): boolean {
  return hop === Hop.CALLER && (failure === Failure.PROTOCOL_VIOLATION || failure === Failure.FRAME_TOO_LARGE);
}

/** The error of a listener whose answer is none of HTTP. */
function brokenAnswerError(message: string, cause?: unknown): StreamError {
  return new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION, hop: Hop.PEER, cause });
}

/** The error of a call whose listener has not answered in time. */
export function lateError(timeoutMs: number): StreamError {
  const message = `the listener has sent no response within ${timeoutMs} ms`;
  return new StreamError(message, { code: Code.DeadlineExceeded, hop: Hop.PEER });
}

/** The error of a call whose caller has hung up. */
export function callerGoneError(): StreamError {
  return new StreamError("the caller has gone", { code: Code.Canceled, hop: Hop.CALLER });
}

/** The error of a request whose body has more bytes than the gateway takes. */
export function bodyTooLargeError(maxBodyBytes: number): StreamError {
  return new StreamError(`the body of a request has at most ${maxBodyBytes} bytes`, {
    failure: Failure.MESSAGE_TOO_LARGE,
    hop: Hop.CALLER,
    limit: exceededLimit("maxGatewayBodyBytes", maxBodyBytes),
  });
}
