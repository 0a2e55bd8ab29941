import type { RawInput, RawMessage } from "../stream/codec.js";
import { StreamError } from "../stream/error/stream-error.js";
import { Emitter } from "../stream/platform/emitter.js";
import { isWellFormed } from "../stream/platform/well-formed.js";
import type { Stream } from "../stream/stream.js";
import { type Closure, closureOf, maxCloseReasonBytes, normalClosure } from "./close-code.js";
import { closeStream } from "./close-stream.js";
import { pathMetadata, protocolsMetadata } from "./socket-metadata.js";

/** The data that `send` takes. */
export type WebSocketData = string | ArrayBuffer | ArrayBufferView | Blob;

/** The event "close". */
export class StreamCloseEvent extends Event implements Closure {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  /** Why the stream failed, with its `code`, `failure` and `hop`. Undefined if both sides have finished. */
  readonly error: StreamError | undefined;

  constructor({ code, reason, wasClean, error }: Closure) {
    super("close");
    this.code = code;
    this.reason = reason;
    this.wasClean = wasClean;
    this.error = error;
  }
}

/** The event "error". "close" follows. */
export class StreamErrorEvent extends Event {
  /** Why the stream failed. */
  readonly error: StreamError;
  readonly message: string;

  constructor(error: StreamError) {
    super("error");
    this.error = error;
    this.message = error.message;
  }
}

/** The events as servers written for the package `ws` hear them. Binary data is a `Buffer` where there is one. */
export interface ServerSocketEvents {
  open: [];
  message: [data: string | Uint8Array, isBinary: boolean];
  pong: [];
  error: [error: StreamError];
  close: [code: number, reason: string];
}

/** A handler takes the event of its own type. */
// biome-ignore lint/suspicious/noExplicitAny: the handlers of a WebSocket differ in the event that they take.
type Handler = (this: any, event: any) => unknown;
type EventType = "open" | "message" | "error" | "close";

const states = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const;

/** - "closing": this side has closed with `code`, or the peer has finished, which leaves no code to send. */
type State = { kind: "connecting" | "open" | "closed" } | { kind: "closing"; code: number | undefined; reason: string };

export interface StreamWebSocketInit {
  /** Default: the path that the client gave, or nothing. */
  url?: string | undefined;
  protocol?: string | undefined;
}

/**
 * A stream in the shape of a WebSocket, for programs that take one. Made by `asWebSocket` and `webSocketOf`.
 *
 * - A stream outlives its connections, and so does this: `readyState` stays `OPEN` while the connection is away, and
 *   what is sent meanwhile arrives later.
 * - Text and binary messages arrive as what they were. `send` takes what a WebSocket takes, and copies bytes.
 * - `close()` and `close(1000)` finish the stream, and a peer that finishes has closed with 1000. Another code ends the
 *   stream with an error that carries code and reason, behind all messages that were sent. A stream that fails closes
 *   with the nearest code, and the events "error" and "close" have the `StreamError` as their `error`.
 * - There is no way to stop a peer, as with every WebSocket: messages that come are read.
 */
export class StreamWebSocket extends EventTarget implements WebSocket {
  static readonly CONNECTING = states.CONNECTING;
  static readonly OPEN = states.OPEN;
  static readonly CLOSING = states.CLOSING;
  static readonly CLOSED = states.CLOSED;
  readonly CONNECTING = states.CONNECTING;
  readonly OPEN = states.OPEN;
  readonly CLOSING = states.CLOSING;
  readonly CLOSED = states.CLOSED;

  /** "blob" or "arraybuffer": what binary messages are in the event "message". */
  binaryType: BinaryType = "blob";
  /** The URL that the socket was made with; at a listener the path that the client gave, or nothing. */
  readonly url: string;
  /** No extension of WebSockets is in use. */
  readonly extensions = "";
  /** The stream. Its messages are the socket's to read. */
  readonly stream: Stream<RawMessage, RawInput>;
  readonly #protocol: string;
  readonly #handlers = new Map<EventType, Handler | null>();
  readonly #emitter = new Emitter<ServerSocketEvents>();
  /** Messages behind a Blob whose bytes are being read. */
  readonly #waiting: WebSocketData[] = [];
  #state: State = { kind: "connecting" };
  #opened: "not told" | "told" = "not told";

  constructor(stream: Stream<RawMessage, RawInput>, { url, protocol }: StreamWebSocketInit = {}) {
    super();
    this.stream = stream;
    this.url = url ?? stream.metadata[pathMetadata] ?? "";
    this.#protocol = protocol ?? stream.metadata[protocolsMetadata]?.split(/ *, */, 1)[0] ?? "";
    stream.on("open", () => this.#open());
    stream.on("data", (message) => this.#receive(message));
    stream.on("end", () => this.#peerClosed());
    stream.on("error", () => {});
    stream.on("close", () => this.#close());
    const { state } = stream;
    // A listener may write at once, which accepts the client.
    if (stream.caller !== undefined && state === "opening") this.#set({ kind: "open" });
    // These have been told already.
    if (state === "open" || state === "suspended") queueMicrotask(() => this.#open());
    if (state === "closed" || state === "failed") queueMicrotask(() => this.#close());
  }

  get readyState(): 0 | 1 | 2 | 3 {
    return states[this.#state.kind.toUpperCase() as keyof typeof states];
  }

  /** The subprotocol: of those that the client asked for the first one, if the listener has named no other. */
  get protocol(): string {
    return this.#state.kind === "connecting" ? "" : this.#protocol;
  }

  /** Bytes that were sent and not yet handed to the transport. */
  get bufferedAmount(): number {
    return this.#waiting.reduce((sum, data) => sum + sizeOf(data), this.stream.bufferedBytes);
  }

  /**
   * Sends a message, and does nothing once the socket closes.
   *
   * - Throws `InvalidStateError` while a client is connecting.
   * - A message that is larger than the peer takes closes the socket with 1009.
   * - `callback`, as in the package `ws`, is called when the message has been taken, or with why it was not.
   */
  send(data: WebSocketData, ...rest: unknown[]): void {
    if (this.#state.kind === "connecting") {
      throw new DOMException("the WebSocket is still connecting", "InvalidStateError");
    }
    const isOpen = this.#state.kind === "open";
    if (isOpen) this.#put(copyOf(data));
    const callback = rest.findLast((each) => typeof each === "function") as ((error?: Error) => void) | undefined;
    if (callback) queueMicrotask(() => (isOpen ? callback() : callback(new Error("the WebSocket is closed"))));
  }

  /**
   * Closes the socket behind all messages that were sent.
   *
   * - `given` is the code: 1000, which is the default, or 3000 to 4999, rounded to a whole number; otherwise
   *   `InvalidAccessError` is thrown.
   * - `reason` has at most 123 bytes; otherwise `SyntaxError` is thrown.
   */
  close(given = normalClosure, reason = ""): void {
    const code = Math.round(given);
    if (code !== normalClosure && !(code >= 3000 && code <= 4999)) {
      throw new DOMException(`a close code is 1000, or 3000 to 4999, and not ${code}`, "InvalidAccessError");
    }
    if (new TextEncoder().encode(reason).byteLength > maxCloseReasonBytes) {
      throw new DOMException(`a reason for closing has at most ${maxCloseReasonBytes} bytes`, "SyntaxError");
    }
    if (this.#state.kind === "connecting") return this.terminate();
    if (this.#state.kind !== "open") return;
    this.#set({ kind: "closing", code, reason });
    if (this.#waiting.length === 0) this.#finish();
  }

  /** Ends the stream at once, as the method of the package `ws` does with a connection. */
  terminate(): void {
    this.stream.destroy();
  }

  /** For servers written for the package `ws`: a "pong" follows. The relay watches over the connections. */
  ping(): void {
    queueMicrotask(() => this.#state.kind === "open" && this.#emitter.emit("pong"));
  }

  /** Calls `listener` at each event, with the arguments that the package `ws` gives to its listeners. */
  on<Name extends keyof ServerSocketEvents>(event: Name, listener: (...args: ServerSocketEvents[Name]) => void): this {
    this.#emitter.on(event, listener as never);
    return this;
  }

  /** Calls `listener` at the next event, and not again. */
  once<Name extends keyof ServerSocketEvents>(
    event: Name,
    listener: (...args: ServerSocketEvents[Name]) => void,
  ): this {
    this.#emitter.once(event, listener as never);
    return this;
  }

  /** Takes back the last `on` or `once` of this listener. */
  off<Name extends keyof ServerSocketEvents>(event: Name, listener: (...args: ServerSocketEvents[Name]) => void): this {
    this.#emitter.off(event, listener as never);
    return this;
  }

  /** Another name for `on`, as in Node. */
  readonly addListener = this.on;
  /** Another name for `off`, which `once` of `node:events` calls. */
  readonly removeListener = this.off;

  get onopen(): WebSocket["onopen"] {
    return this.#handlers.get("open") ?? null;
  }
  set onopen(handler: WebSocket["onopen"]) {
    this.#handle("open", handler);
  }
  get onmessage(): WebSocket["onmessage"] {
    return this.#handlers.get("message") ?? null;
  }
  set onmessage(handler: WebSocket["onmessage"]) {
    this.#handle("message", handler);
  }
  get onerror(): WebSocket["onerror"] {
    return this.#handlers.get("error") ?? null;
  }
  set onerror(handler: WebSocket["onerror"]) {
    this.#handle("error", handler);
  }
  get onclose(): WebSocket["onclose"] {
    return this.#handlers.get("close") ?? null;
  }
  set onclose(handler: WebSocket["onclose"]) {
    this.#handle("close", handler);
  }

  /** A handler has the place among the listeners that the first one had. */
  #handle(type: EventType, handler: unknown): void {
    const isFirst = !this.#handlers.has(type);
    this.#handlers.set(type, typeof handler === "function" ? (handler as Handler) : null);
    if (isFirst) this.addEventListener(type, (event) => this.#handlers.get(type)?.call(this, event));
  }

  #set(state: State): void {
    this.#state = state;
  }

  #open(): void {
    if (this.#opened === "told" || this.#state.kind === "closed") return;
    this.#opened = "told";
    if (this.#state.kind === "connecting") this.#set({ kind: "open" });
    this.dispatchEvent(new Event("open"));
    this.#emitter.emit("open");
  }

  #receive(message: RawMessage): void {
    // A message may come in the same turn as the news that the peer has accepted.
    this.#open();
    if (this.#state.kind !== "open") return;
    const isBinary = typeof message !== "string";
    const data = isBinary ? (this.binaryType === "blob" ? new Blob([message]) : message.buffer) : message;
    this.dispatchEvent(new MessageEvent("message", { data }));
    if (this.#emitter.listenerCount("message") > 0) this.#emitter.emit("message", asBuffer(message), isBinary);
  }

  #peerClosed(): void {
    if (this.#state.kind !== "open") return;
    this.#set({ kind: "closing", code: undefined, reason: "" });
    this.#waiting.length = 0;
    this.stream.end();
  }

  #close(): void {
    if (this.#state.kind === "closed") return;
    this.stream.closed.then(
      () => this.#tellClose({ code: normalClosure, reason: "", wasClean: true, error: undefined }),
      (error: StreamError) => this.#tellClose(closureOf(error)),
    );
  }

  #tellClose(closure: Closure): void {
    if (this.#state.kind === "closed") return;
    this.#set({ kind: "closed" });
    this.#waiting.length = 0;
    const { error, wasClean, code, reason } = closure;
    if (error !== undefined && !wasClean) {
      this.dispatchEvent(new StreamErrorEvent(error));
      this.#emitter.emit("error", error);
    }
    this.dispatchEvent(new StreamCloseEvent(closure));
    this.#emitter.emit("close", code, reason);
  }

  #put(data: WebSocketData): void {
    if (this.#waiting.length > 0) this.#waiting.push(data);
    else if (data instanceof Blob) {
      this.#waiting.push(data);
      void this.#sendWaiting();
    } else this.#write(data);
  }

  /** The bytes of a Blob are read first, and the messages behind it wait for them. */
  async #sendWaiting(): Promise<void> {
    try {
      for (let data = this.#waiting[0]; data !== undefined; data = this.#waiting[0]) {
        const message = data instanceof Blob ? await data.arrayBuffer() : data;
        // The socket may have closed meanwhile.
        if (this.#waiting.shift() !== undefined) this.#write(message);
      }
    } catch (reason) {
      this.#waiting.length = 0;
      this.stream.destroy(StreamError.from(reason));
    }
    this.#finish();
  }

  #write(message: RawInput): void {
    try {
      this.stream.write(message);
    } catch (reason) {
      this.stream.destroy(reason);
    }
  }

  /** Ends the stream if this side has closed the socket. */
  #finish(): void {
    const state = this.#state;
    if (state.kind !== "closing" || state.code === undefined) return;
    closeStream(this.stream, state.code, state.reason);
  }
}

/** A program may use its bytes again as soon as `send` has returned. Half of a surrogate pair becomes U+FFFD. */
function copyOf(data: unknown): WebSocketData {
  if (data instanceof Blob) return data;
  if (data instanceof ArrayBuffer) return data.slice(0);
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
  const text = String(data);
  if (isWellFormed(text)) return text;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}

function sizeOf(data: WebSocketData): number {
  if (typeof data === "string") return data.length;
  return data instanceof Blob ? data.size : data.byteLength;
}

/** Servers for Node take a Buffer for text too, and ask it for its text. */
function asBuffer(message: RawMessage): string | Uint8Array {
  const { Buffer } = globalThis as { Buffer?: { from(data: unknown): Uint8Array } };
  return Buffer === undefined ? message : Buffer.from(typeof message === "string" ? message : message.buffer);
}
