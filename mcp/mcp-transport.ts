import { Code } from "@connectrpc/connect";
import { Hop } from "../gen/streamserver/v1/failure_pb.js";
import type { RawMessage } from "../stream/codec.js";
import { StreamError } from "../stream/error/stream-error.js";
import { Condition, Deferred } from "../stream/platform/deferred.js";
import { systemClock } from "../stream/platform/system-clock.js";
import type { Stream } from "../stream/stream.js";
import { type JsonRpcMessage, parseJsonRpc, unsendableResponse } from "./json-rpc.js";

/** The value of the metadata `protocol` by which a client says that it speaks MCP over the stream. */
export const mcpProtocol = "mcp";
/** The peer has this long to finish its direction after `close()`; then the stream is destroyed. */
const closeTimeoutMs = 2_000;

type State = { kind: "new" } | { kind: "open" } | { kind: "closing"; cancelDeadline: () => void } | { kind: "closed" };

/**
 * A stream as a transport of the Model Context Protocol, for the clients and servers of the official TypeScript SDK. It
 * has the shape of the SDK's `Transport`, of its versions 1 and 2, and needs neither to be installed.
 *
 * - Each message of JSON-RPC is a message of text on the stream. Any other message is reported to `onerror`, and the
 *   stream goes on.
 * - `start()` resolves when the listener has accepted. It rejects with the `StreamError` that says why it did not, and
 *   with `failed_precondition` if it was called before.
 * - `send()` resolves when there is room for another message. It rejects with a `StreamError` for a message that is too
 *   large for the peer, after which the stream goes on, and if the stream is over.
 * - `onerror` is told why a stream failed, and `onclose` follows every end. A connection that is lost and comes back is
 *   neither.
 * - Call `close()` to end the stream, as the SDK's `close()` does. The peer then has 2 s to finish.
 *
 * @example
 * // The server, with a server of its own for each client
 * StreamServer(relayUrl, (stream) => createMcpServer().connect(new McpTransport(stream))).listen("tools");
 *
 * // The client
 * await client.connect(new McpTransport(StreamClient(relayUrl).connect("tools")));
 */
export class McpTransport {
  onmessage?: ((message: JsonRpcMessage, extra?: object) => void) | undefined;
  onerror?: ((error: Error) => void) | undefined;
  onclose?: (() => void) | undefined;
  readonly #stream: Stream;
  readonly #closed = new Deferred<void>();
  readonly #room = new Condition();
  #state: State = { kind: "new" };

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  /**
   * The relay's id of the stream, at its listener. Undefined at the client, because the SDK's client takes a transport
   * that has an id for a session that was initialized before.
   */
  get sessionId(): string | undefined {
    return this.#stream.caller && this.#stream.id;
  }

  async start(): Promise<void> {
    const stream = this.#stream;
    const isOver = stream.state === "closed" || stream.state === "failed";
    if (this.#state.kind !== "new" || isOver) {
      throw notOpenError(isOver ? "the stream is over" : "the transport was started before");
    }
    this.#set({ kind: "open" });
    stream.on("error", (error) => this.onerror?.(error));
    stream.once("close", () => this.#set({ kind: "closed" }));
    stream.once("end", () => void this.close());
    stream.on("drain", () => this.#room.notify());
    const { protocol = mcpProtocol } = stream.metadata;
    if (stream.caller !== undefined && protocol !== mcpProtocol) {
      stream.reject(Code.FailedPrecondition, "this listener speaks MCP over the stream");
    } else {
      stream.on("data", (message) => this.#receive(message));
    }
    await stream.opened;
  }

  async send(message: JsonRpcMessage): Promise<void> {
    if (this.#state.kind !== "open") throw notOpenError("the transport is not open");
    const stream = this.#stream;
    try {
      stream.write(JSON.stringify(message));
    } catch (reason) {
      // Nobody else would tell the one who waits for the response.
      const { id, result } = message;
      if (id !== undefined && result !== undefined) stream.write(JSON.stringify(unsendableResponse(id, reason)));
      throw reason;
    }
    while (stream.writableNeedDrain && this.#isOpen) await this.#room.changed();
  }

  /** Ends the stream after the messages that were written. Resolves when it is over, and never rejects. */
  async close(): Promise<void> {
    if (this.#state.kind === "new") {
      this.#stream.destroy();
      return this.#set({ kind: "closed" });
    }
    if (this.#isOpen) {
      const cancelDeadline = systemClock.after(closeTimeoutMs, () => void this.#stream.destroy(), false);
      this.#set({ kind: "closing", cancelDeadline });
      this.#stream.end();
    }
    await this.#closed.promise;
  }

  get #isOpen(): boolean {
    return this.#state.kind === "open";
  }

  #receive(data: RawMessage): void {
    let message: JsonRpcMessage;
    try {
      message = parseJsonRpc(data);
    } catch (reason) {
      return this.onerror?.(reason as Error);
    }
    this.onmessage?.(message);
  }

  #set(state: State): void {
    if (this.#state.kind === "closed") return;
    if (this.#state.kind === "closing") this.#state.cancelDeadline();
    this.#state = state;
    this.#room.notify();
    if (state.kind !== "closed") return;
    this.#closed.resolve();
    this.onclose?.();
  }
}

function notOpenError(message: string): StreamError {
  return new StreamError(message, { code: Code.FailedPrecondition, hop: Hop.CALLER });
}
