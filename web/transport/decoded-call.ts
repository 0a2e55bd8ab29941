import type { Transport } from "@connectrpc/connect";
import { RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import {
  handOn,
  type LegCall,
  type LegCaller,
  type LegCallHandlers,
  type LegMethod,
  type LegResponse,
  type Open,
} from "../../leg/leg-call.js";
import { frameToWire } from "../../leg/wire-frame.js";
import { isDetached } from "../../stream/endpoint/bytes.js";
import type { Frame } from "../../stream/endpoint/frame.js";
import { Condition } from "../../stream/platform/deferred.js";
import { callStream } from "../link/rpc-call.js";

type Request = { message: { case: "open"; value: Open } | { case: "frame"; value: ReturnType<typeof frameToWire> } };

/** Calls the RPC of a leg by a transport, which may be of the application's making and encode messages as it likes. */
export function decodedCaller(transport: Transport): LegCaller {
  return (method, open, handlers) => new DecodedCall(transport, method, open, handlers);
}

class DecodedCall implements LegCall {
  readonly #handlers: LegCallHandlers;
  readonly #abort = new AbortController();
  readonly #changed = new Condition();
  #frame: Frame | undefined;
  #request: "open" | "ended" = "open";
  #reading: "on" | "paused" = "on";

  constructor(transport: Transport, method: LegMethod, open: Open, handlers: LegCallHandlers) {
    this.#handlers = handlers;
    const options = {
      signal: this.#abort.signal,
      // A stream lasts as long as the application likes, whatever deadline the transport has for calls.
      timeoutMs: 0,
      onHeader: (header: Headers) => handlers.onHeader(header),
    };
    // The two methods have requests and responses with the same fields.
    const rpc = RelayService.method[method] as typeof RelayService.method.connect;
    void this.#run(callStream(transport, rpc, this.#requests(open), options));
  }

  send(frame: Frame): boolean {
    this.#frame = frame;
    this.#changed.notify();
    return false;
  }

  end(): void {
    this.#request = "ended";
    this.#changed.notify();
  }

  pause(): void {
    this.#reading = "paused";
  }

  resume(): void {
    this.#reading = "on";
    this.#changed.notify();
  }

  cancel(): void {
    this.#abort.abort();
    this.#changed.notify();
  }

  async #run(responses: AsyncIterable<LegResponse>): Promise<void> {
    try {
      for await (const response of responses) {
        const { message } = response;
        // Connect 2.3.0 holds every response until the call ends: what it holds is then some hundred bytes, and not the
        // data of a stream.
        response.message = { case: undefined };
        handOn(message, this.#handlers);
        while (this.#reading === "paused" && !this.#abort.signal.aborted) await this.#changed.changed();
      }
      this.#handlers.onEnd(undefined);
    } catch (reason) {
      this.#handlers.onEnd(reason);
      // An answer that breaks the rules need not be the end of its call.
      this.#abort.abort();
    }
    this.end();
  }

  async *#requests(open: Open): AsyncGenerator<Request> {
    yield { message: { case: "open", value: open } };
    for (;;) {
      const frame = this.#frame;
      this.#frame = undefined;
      if (frame === undefined) {
        if (this.#request === "ended") return;
        await this.#changed.changed();
        continue;
      }
      const { messages } = frame;
      try {
        yield { message: { case: "frame", value: frameToWire(frame) } };
      } finally {
        // A transport that asks for more, or for no more, has encoded this frame some turns after it had asked for it.
        if (messages.some(({ data }) => isDetached(data.buffer))) this.#handlers.onTransferredAway();
      }
      if (this.#frame === undefined && this.#request === "open") this.#handlers.onDrain();
    }
  }
}
