import { Code } from "@connectrpc/connect";
import type { Parts } from "../../leg/parts.js";
import { toConnectError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { Condition } from "../../stream/platform/deferred.js";
import type { Channel } from "./channel.js";
import type { ChannelUser } from "./channel-user.js";

type Life = { kind: "open" } | { kind: "closed" } | { kind: "failed"; error: StreamError };

/** The two bodies of a channel as async iterables, and its end as a signal, as RPC libraries have them. */
export class ChannelBodies {
  readonly #channel: Channel;
  readonly #changed = new Condition();
  readonly #abort = new AbortController();
  #chunk: Uint8Array | undefined;
  #receiving: "open" | "ended" = "open";
  #sending: "free" | "full" = "free";
  #life: Life = { kind: "open" };

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.pause();
    channel.use(this.#user);
  }

  /** Aborted when the channel is over, with a `ConnectError` where it failed. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The bytes of the other side's body, for one reader. Throws if the channel failed before they were whole. */
  async *received(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      if (this.#chunk === undefined) this.#channel.resume();
      const chunk = this.#chunk;
      this.#chunk = undefined;
      if (this.#life.kind === "failed") throw toConnectError(this.#life.error);
      if (chunk !== undefined) yield chunk;
      else if (this.#receiving === "ended" || this.#life.kind === "closed") return;
      else await this.#changed.changed();
    }
  }

  /**
   * Sends a body at the pace of credit and link. Resolves when it is queued; rejects when the channel is over before.
   */
  async send(body: AsyncIterable<Uint8Array | Parts> | Iterable<Uint8Array>): Promise<void> {
    for await (const chunk of body) {
      this.#throwIfOver();
      if (!this.#channel.write(chunk)) this.#sending = "full";
      while (this.#sending === "full") {
        this.#throwIfOver();
        await this.#changed.changed();
      }
      if (this.#life.kind === "failed") this.#throwIfOver();
    }
  }

  #throwIfOver(): void {
    if (this.#life.kind === "failed") throw toConnectError(this.#life.error);
    if (this.#life.kind === "closed") {
      throw toConnectError(new StreamError("the channel is closed", { code: Code.Canceled }));
    }
  }

  get #user(): ChannelUser {
    return {
      onData: (chunk) => {
        this.#channel.pause();
        this.#chunk = chunk;
        this.#changed.notify();
      },
      onEnd: () => {
        this.#receiving = "ended";
        this.#changed.notify();
      },
      onDrain: () => {
        this.#sending = "free";
        this.#changed.notify();
      },
      onClosed: (error) => {
        this.#life = error === undefined ? { kind: "closed" } : { kind: "failed", error };
        this.#changed.notify();
        this.#abort.abort(error && toConnectError(error));
      },
    };
  }
}
