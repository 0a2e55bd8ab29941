import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { LinkSender } from "../../link/link-sender.js";
import { closeError, closeFrame, noStatus } from "../../link/packet/close-code.js";
import {
  decodeLinkMessage,
  endOfLink,
  type IncomingMessage,
  linkProtocol,
  linkSocketPath,
} from "../../link/packet/link-message.js";
import { callError, fromConnectError, relayAt, relayLostError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";
import { createLink, type LeavableLink } from "./opened-link.js";
import { relayPathUrl } from "./relay-path-url.js";
import { type PipeSocket, SocketPipe } from "./socket-pipe.js";

/**
 * The timeout is split in two: a page that stood still reads the messages that arrived before the last 100 ms begin.
 */
const lastWaitMs = 100;
const tooManyRequests = 429;
/** A WebSocket as a link uses it, and what some platforms know of it beyond a browser. */
export interface LinkSocketLike extends Pick<WebSocket, "binaryType" | "bufferedAmount" | "send" | "close"> {
  onmessage: ((event: MessageEvent<ArrayBuffer | string>) => void) | null;
  onerror: ((event: Event) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  /** The HTTP status that answered the handshake, where one is known. */
  refusedWith?: number | undefined;
  hold?: LeavableLink["hold"];
  /** Whether the memory that was sent last may be used again. Default: always, if the socket is the browser's own. */
  isMemoryFree?(): boolean;
}

/** Makes a WebSocket that speaks {@link linkProtocol}. Throws where none may be opened at all. */
export type SocketFactory = (url: string) => LinkSocketLike;

export const browserSocket: SocketFactory = (url) => new WebSocket(url, linkProtocol);

/** The cause of an error: a WebSocket failed before it was open, for another reason than the time it took. */
export class HandshakeError extends Error {
  override readonly name = "HandshakeError";
  /** Whether it is certain to fail again. A browser never knows. */
  readonly isRefusal: boolean;

  constructor(message: string, isRefusal: boolean, cause?: unknown) {
    super(message, { cause });
    this.isRefusal = isRefusal;
  }
}

/**
 * Opens a link over a WebSocket to the relay at a base URL. Rejects with a `StreamError`:
 *
 * - with the relay's own failure where it gave one, or the status that the close code means;
 * - with FAILURE_LEG_LOST of HOP_RELAY if no WebSocket can be had, for a {@link HandshakeError}, or if the link is not
 *   there after `openTimeoutMs`;
 * - with the signal's reason when it is aborted before.
 *
 * The link ends by itself when the socket does, or when the relay goes silent.
 */
export async function openWebSocketLink(
  baseUrl: string,
  clock: Clock,
  openTimeoutMs: number,
  signal?: AbortSignal,
  createSocket: SocketFactory = browserSocket,
): Promise<LeavableLink> {
  signal?.throwIfAborted();
  const relay = relayAt(baseUrl);
  const socket = new LinkSocket(createLinkSocket(createSocket, baseUrl, relay), relay, clock, openTimeoutMs);
  const onAbort = () => socket.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  return socket.opened.promise.finally(() => signal?.removeEventListener("abort", onAbort));
}

function createLinkSocket(createSocket: SocketFactory, baseUrl: string, relay: string): LinkSocketLike {
  try {
    return createSocket(socketUrl(baseUrl));
  } catch (cause) {
    // Where a page may not open one at all, as to a relay without TLS if the page has it.
    throw handshakeError(relay, "none may be opened here", true, cause);
  }
}

function handshakeError(relay: string, message: string, isRefusal: boolean, cause?: unknown): StreamError {
  return relayLostError(
    `${relay} cannot be reached over a WebSocket: ${message}`,
    new HandshakeError(message, isRefusal, cause),
  );
}

/** A proxy whose relay is away says so with a status of 500 or more, and too many requests pass. */
function isLasting(status: number): boolean {
  return status < 500 && status !== tooManyRequests;
}

type SocketState = { kind: "opening" } | ({ kind: "open" } & Pick<LeavableLink, "link" | "watch">) | { kind: "over" };

class LinkSocket implements PipeSocket {
  readonly opened = new Deferred<LeavableLink>();
  readonly #socket: LinkSocketLike;
  /** The name of the relay in messages. */
  readonly #relay: string;
  readonly #clock: Clock;
  #stopWaiting: () => void;
  /**
   * The standard demands that `send` copies. Sockets that are written in JavaScript, as jsdom's is, send the bytes
   * later.
   */
  readonly #isNative: boolean;
  #handedBytes = 0;
  #state: SocketState = { kind: "opening" };

  constructor(socket: LinkSocketLike, relay: string, clock: Clock, openTimeoutMs: number) {
    this.#socket = socket;
    this.#isNative = Function.prototype.toString.call(socket.constructor).includes("[native code]");
    this.#relay = relay;
    this.#clock = clock;
    this.#stopWaiting = clock.after(openTimeoutMs - lastWaitMs, () => {
      this.#stopWaiting = clock.after(lastWaitMs, () => this.#end(relayLostError(`${relay} opened no link in time`)));
    });
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#receive(data);
    // Chromium never says "close" for a socket that a Content-Security-Policy blocks. Elsewhere "close" follows with no
    // more to say.
    socket.onerror = (event) => this.#onError(event);
    socket.onclose = ({ code, reason }) => this.#onClose(code, reason);
  }

  /** Gives up, if the link is not open. */
  abort(reason: unknown): void {
    if (this.#state.kind === "opening") this.#end(StreamError.from(reason));
  }

  /** Sends, and counts for the watch. */
  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.#handedBytes += bytes.byteLength;
    this.#socket.send(bytes);
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  /** Whether the memory that was sent last may be used again. */
  get isMemoryFree(): boolean {
    return this.#socket.isMemoryFree?.() ?? this.#isNative;
  }

  #onError(event: Event): void {
    const { refusedWith } = this.#socket;
    // A browser says nothing else, and Node says there what went wrong.
    const { error } = event as Partial<ErrorEvent>;
    const message = error === undefined ? "" : fromConnectError(error).message;
    if (refusedWith === undefined) return this.#onClose(noStatus, message);
    this.#end(handshakeError(this.#relay, `the answer is HTTP ${refusedWith}`, isLasting(refusedWith)));
  }

  #onClose(code: number, reason: string): void {
    const error = closeError(code, reason);
    const isOpen = this.#state.kind === "open";
    if (!isOpen && code === noStatus) this.#end(handshakeError(this.#relay, error.message, false));
    // A relay that ends a link says why before. A goodbye without a reason is a page's own, as of Firefox's
    // `window.stop()`.
    else if (isUnexplained(error)) this.#end(callError(error, this.#relay, isOpen));
    else this.#end(error);
  }

  #receive(data: ArrayBuffer | string): void {
    try {
      if (typeof data === "string") {
        throw new StreamError("a message that is text", { failure: Failure.PROTOCOL_VIOLATION, hop: Hop.RELAY });
      }
      const message = decodeLinkMessage(new Uint8Array(data));
      if (this.#state.kind === "opening") return this.#open(message);
      if (this.#state.kind === "over") return;
      this.#state.watch.heard();
      for (const packet of message.packets) this.#state.link.receive(packet);
    } catch (reason) {
      // Bytes that break the rules before there is a link need not come from a relay.
      this.#end(
        this.#state.kind === "opening"
          ? relayLostError(`${this.#relay} is none: what answers is something else`, reason)
          : StreamError.from(reason),
      );
    }
  }

  #open(message: IncomingMessage): void {
    const { opened } = message;
    if (opened === undefined) return this.#end(endOfLink(message) ?? relayLostError(`${this.#relay} opened no link`));
    this.#stopWaiting();
    const { link, watch, proof } = createLink(opened, this.#clock, this.#relay);
    watch.outgoing = () => {
      const waitingBytes = this.bufferedAmount;
      return [this.#handedBytes - waitingBytes, waitingBytes];
    };
    this.#state = { kind: "open", link, watch };
    void link.closed.then((error) => this.#end(error));
    const onError = (reason: unknown) => this.#end(callError(reason, this.#relay, true));
    new LinkSender(link, new SocketPipe(this, link), opened.maxBatchBytes, onError);
    this.opened.resolve({ kind: "websocket", link, watch, proof, hold: this.#socket.hold });
  }

  #end(error: StreamError): void {
    const state = this.#state;
    if (state.kind === "over") return;
    this.#state = { kind: "over" };
    this.#stopWaiting();
    this.opened.reject(error);
    if (state.kind === "open") state.link.close(error);
    const { code, reason } = closeFrame(error);
    this.#socket.close(code, reason);
  }
}

function isUnexplained({ code }: StreamError): boolean {
  return code === Code.Unavailable || code === Code.Canceled;
}

function socketUrl(baseUrl: string): string {
  const url = relayPathUrl(baseUrl, linkSocketPath);
  url.protocol = /^(https|wss):$/.test(url.protocol) ? "wss:" : "ws:";
  return url.href;
}
