import type { ServerResponse } from "node:http";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { Condition } from "../../stream/platform/deferred.js";
import type { NodeResponse } from "./node-server.js";

/**
 * Writes a handler's response as fast as the peer takes it. Rejects with what the handler's body threw.
 *
 * - A response is left to end by itself. Connect's own adapter resets an HTTP/2 stream whose request has not ended when
 *   its response has, and a peer that had not read the response by then loses its end, with the error that the end
 *   tells.
 * - The response gets one listener for each event, however many chunks it has: middleware such as `compression` puts
 *   itself between the response and its listeners, and takes none away again.
 */
export async function writeResponse(answer: UniversalServerResponse, response: NodeResponse): Promise<void> {
  const chunks = answer.body?.[Symbol.asyncIterator]();
  const target = new ResponseTarget(response);
  try {
    // A handler may set headers until it has its first message.
    let next = await chunks?.next();
    target.writeHead(answer.status, answer.header);
    while (next !== undefined && !next.done) {
      await target.write(next.value);
      if (target.isGone) return;
      next = await chunks?.next();
    }
    target.end(answer.trailer);
  } finally {
    chunks?.return?.().catch(() => {});
  }
}

/** A response whose peer may be slow, or gone. */
class ResponseTarget {
  /** HTTP/1.1 and HTTP/2 have the same methods, with parameters of other types; `compression` adds one. */
  readonly #response: ServerResponse & { flush?: () => void };
  readonly #changed = new Condition();
  #state: "flowing" | "full" | "gone";

  constructor(response: NodeResponse) {
    this.#response = response as ServerResponse;
    const isGone = ("stream" in response ? response.stream : response).destroyed;
    this.#state = isGone ? "gone" : "flowing";
    this.#response.on("drain", () => this.#set("flowing")).on("close", () => this.#set("gone"));
    // "close" follows.
    this.#response.on("error", () => {});
  }

  get isGone(): boolean {
    return this.#state === "gone";
  }

  writeHead(status: number, header = new Headers()): void {
    if (!this.isGone) this.#response.writeHead(status, Object.fromEntries(header));
  }

  /** Resolves when there may be more, or nobody is there to take it. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.isGone) return;
    if (!this.#response.write(chunk)) this.#set("full");
    this.#response.flush?.();
    while (this.#state === "full") await this.#changed.changed();
  }

  end(trailer = new Headers()): void {
    if (this.isGone) return;
    this.#response.addTrailers(Object.fromEntries(trailer));
    this.#response.end();
  }

  #set(state: "flowing" | "full" | "gone"): void {
    if (this.isGone) return;
    this.#state = state;
    this.#changed.notify();
  }
}
