import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createMethodUrl } from "@connectrpc/connect/protocol";
import { endStreamFlag, requestHeader, validateResponse } from "@connectrpc/connect/protocol-connect";
import {
  AcceptResponseSchema,
  ConnectRequestSchema,
  ConnectResponseSchema,
  RelayService,
} from "../gen/streamserver/v1/relay_pb.js";
import type { Frame } from "../stream/endpoint/frame.js";
import { fromConnectError, toConnectError } from "../stream/error/failure-detail.js";
import { StreamError } from "../stream/error/stream-error.js";
import { dataOf, envelope } from "./envelope.js";
import { EnvelopeReader } from "./envelope-reader.js";
import { type EnvelopeMemory, frameEnvelope } from "./frame-envelope.js";
import { readFrame } from "./frame-reader.js";
import {
  handOn,
  type LegCall,
  type LegCaller,
  type LegCallHandlers,
  type LegMethod,
  type LegResponse,
  maxRpcMessageBytes,
  type Open,
} from "./leg-call.js";
import { Parts } from "./parts.js";
import { type ResponseEnd, readResponseEnd } from "./response-messages.js";

/** Carries the two bodies of a call: a channel or an HTTP/2 stream. */
export interface CallCarrier {
  /** Memory for the envelopes of frames, which the carrier takes back once they are sent. See {@link frameEnvelope}. */
  readonly memory?: EnvelopeMemory;
  /** Sends an envelope. Returns false if the next one has to wait until `EnvelopeCall.onDrain` is called. */
  write(envelope: Parts): boolean;
  /** Ends the request, after what was written. */
  end(): void;
  /** Stops reading the body of the response until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends the call both ways. */
  reset(error: StreamError): void;
}

export interface CallRequest {
  url: string;
  header: Headers;
  signal: AbortSignal;
}

/**
 * Opens the carrier of a call, which hands the response to `call`. Rejects if there is no way to the relay, and as soon
 * as the signal of the request is aborted; after that, the signal means nothing.
 */
export type CarrierOpener = (request: CallRequest, call: EnvelopeCall) => Promise<CallCarrier>;

/** Makes the calls of legs on carriers, to the relay at a base URL. */
export function envelopeCaller(baseUrl: string, openCarrier: CarrierOpener): LegCaller {
  return (method, open, handlers) => new EnvelopeCall(baseUrl, openCarrier, method, open, handlers);
}

type CallState =
  | { kind: "opening"; abort: AbortController; request: "open" | "ended" }
  | { kind: "open"; carrier: CallCarrier }
  | { kind: "over" };

/**
 * The call of a leg on any carrier: a body of envelopes out, a body of envelopes in, with the same bytes as Connect's
 * own client. The carrier hands in the events of the call (`answered`, `onData`, `onEnd`, `onClosed` or `fail`), and
 * calls `onDrain` when it can send again.
 */
export class EnvelopeCall implements LegCall {
  readonly #method: LegMethod;
  readonly #handlers: LegCallHandlers;
  readonly #reader = new EnvelopeReader(maxRpcMessageBytes, (flags, bytes) => this.#take(flags, bytes));
  #state: CallState;
  #header = new Headers();
  #reading: "on" | "paused" = "on";
  #end: ResponseEnd | undefined;

  constructor(baseUrl: string, openCarrier: CarrierOpener, method: LegMethod, open: Open, handlers: LegCallHandlers) {
    this.#method = method;
    this.#handlers = handlers;
    const abort = new AbortController();
    this.#state = { kind: "opening", abort, request: "open" };
    const request = {
      url: createMethodUrl(baseUrl, RelayService.method[method]),
      header: requestHeader(RelayService.method[method].methodKind, true, undefined, undefined, false),
      signal: abort.signal,
    };
    openCarrier(request, this).then(
      (carrier) => this.#begin(carrier, open),
      (reason: unknown) => this.fail(reason),
    );
  }

  #begin(carrier: CallCarrier, open: Open): void {
    const state = this.#state;
    // The carrier has failed in the turn in which it was opened.
    if (state.kind !== "opening") return carrier.reset(canceledError());
    this.#set({ kind: "open", carrier });
    if (state.abort.signal.aborted) return this.cancel();
    const message = { case: "open" as const, value: open };
    carrier.write(new Parts([envelope(0, toBinary(ConnectRequestSchema, create(ConnectRequestSchema, { message })))]));
    if (state.request === "ended") carrier.end();
  }

  send(frame: Frame): boolean {
    if (this.#state.kind !== "open") return true;
    const { carrier } = this.#state;
    return carrier.write(frameEnvelope(frame, carrier.memory));
  }

  end(): void {
    if (this.#state.kind === "opening") this.#set({ ...this.#state, request: "ended" });
    if (this.#state.kind === "open") this.#state.carrier.end();
  }

  pause(): void {
    this.#reading = "paused";
    if (this.#state.kind === "open") this.#state.carrier.pause();
  }

  resume(): void {
    if (this.#reading === "on") return;
    this.#reading = "on";
    const goesOn = this.#read(() => this.#reader.resume());
    if (goesOn && this.#state.kind === "open") this.#state.carrier.resume();
  }

  cancel(): void {
    if (this.#state.kind === "opening") this.#state.abort.abort(toConnectError(canceledError()));
    else if (this.#state.kind === "open") this.#state.carrier.reset(canceledError());
  }

  /** Takes the head of the response. */
  answered(status: number, header: Headers): void {
    if (this.#state.kind === "over") return;
    this.#header = header;
    this.#handlers.onHeader(header);
    this.#read(() => {
      validateResponse(RelayService.method[this.#method].methodKind, true, status, header);
      return true;
    });
  }

  /** Takes the next bytes of the response, which nobody may modify any more. */
  onData(chunk: Uint8Array): void {
    // Bytes after the end of the call do not count.
    if (this.#end !== undefined) return;
    this.#read(() => this.#reader.push(chunk));
  }

  /** The response has ended. */
  onEnd(): void {
    this.fail(this.#end === undefined ? new ConnectError("the response broke off", Code.Unavailable) : undefined);
  }

  /**
   * The call broke off. Servers and proxies may reset an HTTP/2 stream whose request goes on once they have said how
   * the call ended.
   */
  fail(reason: unknown): void {
    if (this.#state.kind === "over") return;
    this.#set({ kind: "over" });
    this.#handlers.onEnd(this.#end === undefined ? reason : this.#end.error, this.#end === undefined);
  }

  /** The carrier is over: with an error if it failed. */
  onClosed(error: StreamError | undefined): void {
    if (error !== undefined) this.fail(toConnectError(error));
  }

  /** The carrier can send the next envelope. */
  onDrain(): void {
    if (this.#state.kind === "open") this.#handlers.onDrain();
  }

  /** Reads some of the response. An answer that breaks the rules need not be the end of its call. */
  #read(read: () => boolean): boolean {
    const state = this.#state;
    if (state.kind === "over") return false;
    try {
      return read();
    } catch (reason) {
      this.fail(reason);
      if (state.kind === "open") state.carrier.reset(fromConnectError(reason));
      return false;
    }
  }

  #set(state: CallState): void {
    this.#state = state;
  }

  #take(flags: number, received: Parts): boolean {
    if (this.#end !== undefined || this.#state.kind === "over") return true;
    if (flags === endStreamFlag) {
      this.#end = readResponseEnd(received, this.#header);
      return true;
    }
    if (flags !== 0) throw new ConnectError(`an envelope with the flags ${flags}`, Code.Internal);
    const frame = readFrame(received);
    if (frame !== undefined) this.#handlers.onFrame(frame);
    else this.#takeOther(received);
    return this.#reading === "on";
  }

  #takeOther(received: Parts): void {
    handOn(this.#decode(dataOf(received)).message, this.#handlers);
  }

  #decode(data: Uint8Array): LegResponse {
    const schema = this.#method === "connect" ? ConnectResponseSchema : AcceptResponseSchema;
    try {
      return fromBinary<typeof ConnectResponseSchema | typeof AcceptResponseSchema>(schema, data);
    } catch (cause) {
      throw new ConnectError("bytes that are no message of a leg", Code.Internal, undefined, undefined, cause);
    }
  }
}

function canceledError(): StreamError {
  return new StreamError("the call was cancelled", { code: Code.Canceled });
}
