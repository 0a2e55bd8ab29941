import type { UniversalClientFn, UniversalClientResponse } from "@connectrpc/connect/protocol";
import type { CallCarrier, CallRequest, CarrierOpener, EnvelopeCall } from "../../leg/envelope-call.js";
import type { Parts } from "../../leg/parts.js";
import { Condition } from "../../stream/deferred.js";
import { toConnectError } from "../../stream/failure-detail.js";
import { Fifo } from "../../stream/fifo.js";
import type { StreamError } from "../../stream/stream-error.js";

/** Carries the calls of legs by an HTTP client that streams both bodies. */
export function httpClientCarrierOpener(httpClient: UniversalClientFn): CarrierOpener {
  return async (request, call) => new HttpClientCarrier(httpClient, request, call);
}

class HttpClientCarrier implements CallCarrier {
  readonly #call: EnvelopeCall;
  readonly #abort = new AbortController();
  readonly #outgoing = new Fifo<Uint8Array>();
  readonly #changed = new Condition();
  #request: "open" | "ended" = "open";
  #reading: "on" | "paused" = "on";

  constructor(httpClient: UniversalClientFn, { url, header }: CallRequest, call: EnvelopeCall) {
    this.#call = call;
    const body = this.#envelopes();
    const { signal } = this.#abort;
    void this.#run(() => httpClient({ url, method: "POST", header, body, signal }));
  }

  write(envelope: Parts): boolean {
    this.#outgoing.push(envelope.joined);
    this.#changed.notify();
    return false;
  }

  endRequest(): void {
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

  reset(error: StreamError): void {
    this.#abort.abort(toConnectError(error));
    this.#changed.notify();
  }

  async #run(request: () => Promise<UniversalClientResponse>): Promise<void> {
    try {
      const { status, header, body } = await request();
      this.#call.answered(status, header);
      for await (const chunk of body) {
        this.#call.onData(chunk);
        while (this.#reading === "paused" && !this.#abort.signal.aborted) await this.#changed.changed();
      }
      this.#call.onEnd();
    } catch (reason) {
      this.#call.fail(reason);
    }
    this.endRequest();
  }

  async *#envelopes(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const next = this.#outgoing.shift();
      if (next !== undefined) yield next;
      else if (this.#request === "ended") return;
      else {
        this.#call.onDrain();
        if (this.#outgoing.length === 0 && this.#request === "open") await this.#changed.changed();
      }
    }
  }
}
