import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { closeError, closeFrame } from "../../link/close-code.js";
import { relayLost } from "../../link/failure-detail.js";
import type { Link } from "../../link/link.js";
import {
  decodeLinkMessage,
  encodePackets,
  endOfLink,
  type IncomingMessage,
  linkProtocol,
  linkSocketPath,
} from "../../link/link-message.js";
import { PartsJoiner } from "../../link/parts-joiner.js";
import type { Clock } from "../../stream/clock.js";
import { Deferred } from "../../stream/deferred.js";
import { lend } from "../../stream/lent-memory.js";
import { StreamError } from "../../stream/stream-error.js";
import { createLink, type OpenedLink } from "./opened-link.js";

/**
 * No more is handed to the browser while it holds so much. It tells how much that is but not when it is less, and a timer that
 * looks runs once a second in the background, or once a minute: the answer to a ping tells, for it leaves behind what waits.
 */
const maxBufferedBytes = 1_048_576;
/** Memory for less is made and collected for next to nothing. */
const minLentBytes = 65_536;
/** The last part of the time that the relay has to open a link. */
const lastWaitMs = 100;
/** From here on a ping is on its way, so that its answer comes before the browser has nothing left to send. */
const pingFromBytes = 786_432;

/**
 * Opens a link over a WebSocket to the relay at a base URL. Rejects with a `StreamError`: with the relay's own failure where it
 * gave one, or the status that the close code means; `unavailable` if the link is not there after `openTimeoutMs`; the
 * signal's reason when it is aborted before. The link ends by itself when the socket does, or when the relay goes silent.
 */
export async function openWebSocketLink(
  baseUrl: string,
  clock: Clock,
  openTimeoutMs: number,
  signal?: AbortSignal,
): Promise<OpenedLink> {
  signal?.throwIfAborted();
  const socket = new LinkSocket(createSocket(socketUrl(baseUrl)), clock, openTimeoutMs);
  const onAbort = () => socket.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  return socket.opened.promise.finally(() => signal?.removeEventListener("abort", onAbort));
}

function createSocket(url: string): WebSocket {
  try {
    return new WebSocket(url, linkProtocol);
  } catch (cause) {
    // Where a page may not open one at all, as to a relay without TLS if the page has it.
    const message = `no WebSocket to ${url} may be opened here`;
    throw new StreamError(message, { failure: Failure.LEG_LOST, hop: Hop.CALLER, cause });
  }
}

type SocketState = { kind: "opening" } | ({ kind: "open" } & Pick<OpenedLink, "link" | "watch">) | { kind: "over" };

class LinkSocket {
  readonly opened = new Deferred<OpenedLink>();
  readonly #socket: WebSocket;
  readonly #clock: Clock;
  #stopWaiting: () => void;
  #handedBytes = 0;
  #state: SocketState = { kind: "opening" };

  constructor(socket: WebSocket, clock: Clock, openTimeoutMs: number) {
    this.#socket = socket;
    this.#clock = clock;
    // In two parts: a page that stood still reads what came meanwhile between them.
    this.#stopWaiting = clock.after(openTimeoutMs - lastWaitMs, () => {
      this.#stopWaiting = clock.after(lastWaitMs, () => this.#end(relayLost("the relay opened no link in time")));
    });
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }: MessageEvent<ArrayBuffer | string>) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#end(closeError(code, reason));
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

  #receive(data: ArrayBuffer | string): void {
    try {
      if (typeof data === "string") {
        throw new StreamError("a message that is text", { failure: Failure.PROTOCOL_VIOLATION, hop: Hop.RELAY });
      }
      const message = decodeLinkMessage(new Uint8Array(data));
      lendLarge(data, message);
      if (this.#state.kind === "opening") return this.#open(message);
      if (this.#state.kind === "over") return;
      this.#state.watch.heard();
      for (const packet of message.packets) this.#state.link.receive(packet);
    } catch (reason) {
      // What breaks the rules before there is a link need not be a relay.
      this.#end(
        this.#state.kind === "opening" ? relayLost("what answers is no relay", reason) : StreamError.from(reason),
      );
    }
  }

  #open(message: IncomingMessage): void {
    const { opened } = message;
    if (opened === undefined) return this.#end(endOfLink(message) ?? relayLost("no link was opened"));
    this.#stopWaiting();
    const { link, watch } = createLink(opened, this.#clock);
    watch.outgoing = () => {
      const waitingBytes = this.bufferedAmount;
      return [this.#handedBytes - waitingBytes, waitingBytes];
    };
    this.#state = { kind: "open", link, watch };
    void link.closed.then((error) => this.#end(error));
    sendAll(this, link, opened.maxBatchBytes).catch((reason: unknown) => this.#end(StreamError.from(reason)));
    this.opened.resolve({ kind: "websocket", link, watch });
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

/** Lends the memory of a large packet that came alone, and frees it when it was given back. */
function lendLarge(buffer: ArrayBuffer, { packets }: IncomingMessage): void {
  const [packet] = packets;
  if (buffer.byteLength < minLentBytes || packets.length > 1 || packet?.content.case !== "data") return;
  if (keepsMemory()) lend(packet.content.value, () => free(buffer));
}

/** Chromium keeps what an event came with until it collects all of its garbage; others would lose time by what frees it. */
function keepsMemory(): boolean {
  return (globalThis.navigator as { userAgentData?: unknown } | undefined)?.userAgentData !== undefined;
}

/** The way to nobody: what is transferred there is free at once. */
let nobody: MessagePort | undefined;

function free(buffer: ArrayBuffer): void {
  try {
    if (nobody === undefined) {
      const { port1, port2 } = new MessageChannel();
      port2.close();
      nobody = port1;
    }
    nobody.postMessage(undefined, [buffer]);
  } catch {
    // Then it is free later.
  }
}

async function sendAll(socket: LinkSocket, link: Link, maxBatchBytes: number): Promise<void> {
  const joiner = new PartsJoiner();
  let answered: Promise<void> | undefined;
  const next = () => link.nextBatch(maxBatchBytes);
  for (let packets = await next(); packets !== undefined; packets = await next()) {
    socket.send(joiner.join(encodePackets(packets)));
    while (socket.bufferedAmount > pingFromBytes && link.isOpen) {
      answered ??= ping(socket, link, joiner).finally(() => {
        answered = undefined;
      });
      if (socket.bufferedAmount <= maxBufferedBytes) break;
      await answered;
    }
  }
}

/** Resolves when the relay has everything that was sent before, or never will. */
function ping(socket: LinkSocket, link: Link, joiner: PartsJoiner): Promise<void> {
  const { packet, answered } = link.createPing();
  socket.send(joiner.join(encodePackets([packet])));
  return answered.catch(() => {});
}

function socketUrl(baseUrl: string): string {
  const url = new URL(baseUrl);
  url.protocol = /^(https|wss):$/.test(url.protocol) ? "wss:" : "ws:";
  url.pathname = url.pathname.replace(/\/+$/, "") + linkSocketPath;
  return url.href;
}
