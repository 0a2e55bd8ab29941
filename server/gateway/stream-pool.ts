import type { Transport } from "@connectrpc/connect";
import { Connections } from "../../http/call/connections.js";
import { httpMetadata, linkStreamOptions } from "../../http/link/stream-link.js";
import type { LinkStream } from "../../http/link/stream-pipe.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Condition, Deferred } from "../../stream/platform/deferred.js";
import { openStream } from "../../web/api/stream-client.js";
import type { Caller } from "../admission/caller.js";
import { callerGoneError, lateError } from "./gateway-call.js";

export interface StreamPoolInit {
  name: string;
  caller: Caller;
  clock: Clock;
  transport: Transport;
  /** Called when the last stream has ended. */
  onEmpty: () => void;
}

/** How long a call waits for a listener to come back. */
export interface Wait {
  timeoutMs: number;
  /** The response, whose end ends the wait. */
  response: { once(event: "close", listener: () => void): unknown };
}

/** The streams of one caller to one listener. */
export class StreamPool {
  /** The caller whose grant the streams live by. */
  readonly caller: Caller;
  readonly connections: Connections;
  readonly #init: StreamPoolInit;
  /** The streams that are not over. */
  readonly #streams = new Set<LinkStream>();
  /** Notified when a stream opens, comes back, or has ended. */
  readonly #changed = new Condition();

  constructor(init: StreamPoolInit) {
    this.#init = init;
    this.caller = init.caller;
    this.connections = new Connections(init.name, () => this.#connect(), init.clock);
  }

  /**
   * Whether the listener of each stream has lost its connection. Nothing that is written to such a stream leaves before
   * the listener is back.
   */
  get isSuspended(): boolean {
    for (const { state } of this.#streams) if (state !== "suspended") return false;
    return this.#streams.size > 0;
  }

  /**
   * Resolves when a listener is back, or when the streams have ended. Rejects with `deadline_exceeded` after the time
   * of the wait, and with `canceled` when the caller leaves.
   */
  async back(clock: Clock, { timeoutMs, response }: Wait): Promise<void> {
    const over = new Deferred<never>();
    const cancelDeadline = clock.after(timeoutMs, () => over.reject(lateError(timeoutMs)), false);
    response.once("close", () => over.reject(callerGoneError()));
    try {
      while (this.isSuspended) await Promise.race([this.#changed.changed(), over.promise]);
    } finally {
      cancelDeadline();
    }
  }

  #connect(): LinkStream {
    const { name, transport, clock, onEmpty } = this.#init;
    const stream = openStream({
      ...linkStreamOptions,
      name,
      metadata: httpMetadata,
      transport: async () => transport,
      clock,
      onUnheard: () => {},
    });
    this.#streams.add(stream);
    for (const event of ["open", "resumed"] as const) stream.on(event, () => this.#changed.notify());
    stream.on("close", () => {
      this.#streams.delete(stream);
      this.#changed.notify();
      if (this.#streams.size === 0) onEmpty();
    });
    return stream;
  }
}
