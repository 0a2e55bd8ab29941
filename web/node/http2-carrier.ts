import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CallCarrier, CarrierOpener, EnvelopeCall } from "../../leg/envelope-call.js";
import type { EnvelopeMemory } from "../../leg/frame-envelope.js";
import type { Parts } from "../../leg/parts.js";
import { toConnectError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { Http2Connections } from "./http2-connections.js";
import { SendMemory } from "./send-memory.js";

type Connections = Pick<Http2Connections, "request">;

/** Begins a call. Rejects if the signal is aborted before there is a stream for it, which is then reset. */
type BeginCall = (whileWanted: AbortSignal) => Promise<ClientHttp2Stream>;

/** Carries the calls of legs on HTTP/2 streams of the connections to a relay. */
export function http2CarrierOpener(connections: Connections): CarrierOpener {
  const sendMemory = new SendMemory();
  return async ({ url, header, signal }, call) => {
    const beginCall: BeginCall = (whileWanted) => begin(connections, new URL(url).pathname, header, whileWanted);
    return new Http2Carrier(await beginCall(signal), beginCall, call, sendMemory);
  };
}

/** Begins a call. If the signal is aborted before there is a stream for it, the stream is reset when it comes. */
function begin(
  connections: Connections,
  path: string,
  header: Headers,
  signal: AbortSignal,
): Promise<ClientHttp2Stream> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort);
    connections
      .request("POST", path, Object.fromEntries(header))
      .then((stream) => {
        if (signal.aborted) stream.on("error", () => {}).close(constants.NGHTTP2_CANCEL);
        resolve(stream);
      }, reject)
      .finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** A call may be refused by this many connections that are about to close, each after it was taken for a good one. */
const maxRefusals = 3;

class Http2Carrier implements CallCarrier {
  readonly memory: EnvelopeMemory;
  readonly #begin: BeginCall;
  readonly #call: EnvelopeCall;
  readonly #sendMemory: SendMemory;
  #stream: ClientHttp2Stream;
  /** What was written before the response, in case that the call has to be begun anew; undefined from then on. */
  #unanswered: Uint8Array[] | undefined = [];
  #refusals = 0;
  #isRequestEnded = false;
  /** Defined while the call is begun anew. */
  #beginning: AbortController | undefined;
  /** The reason that the stream's "close" does not tell: the error of a reset of this side, or Node's error. */
  #reason: unknown;

  constructor(stream: ClientHttp2Stream, beginCall: BeginCall, call: EnvelopeCall, sendMemory: SendMemory) {
    this.memory = sendMemory.take;
    this.#sendMemory = sendMemory;
    this.#begin = beginCall;
    this.#call = call;
    this.#stream = this.#heard(stream);
  }

  #heard(stream: ClientHttp2Stream): ClientHttp2Stream {
    const call = this.#call;
    stream.on("response", (headers) => {
      this.#unanswered = undefined;
      call.answered(Number(headers[":status"]), headersOf(headers));
    });
    stream.on("data", (chunk: Buffer) => call.onData(chunk));
    stream.on("drain", () => call.onDrain());
    stream.on("end", () => this.#onEnd());
    stream.on("error", (error) => {
      this.#reason ??= new ConnectError(error.message, Code.Unavailable, undefined, undefined, error);
    });
    stream.on("close", this.#onClose);
    return stream;
  }

  /** Envelopes of one turn go out together, because Node has one write at a time under way on a stream. */
  write(envelope: Parts): boolean {
    const stream = this.#stream;
    if (stream.destroyed || stream.writableEnded) return true;
    if (stream.writableCorked === 0) {
      stream.cork();
      process.nextTick(uncork, stream);
    }
    const bytes = envelope.joined as Uint8Array<ArrayBuffer>;
    this.#unanswered?.push(bytes);
    return stream.write(bytes, (error) => {
      // Node may still hold the bytes of a write that failed.
      if (!error) this.#sendMemory.release(bytes);
    });
  }

  end(): void {
    this.#isRequestEnded = true;
    if (!this.#stream.writableEnded) this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  reset(error: StreamError): void {
    this.#reason ??= toConnectError(error);
    this.#unanswered = undefined;
    this.#beginning?.abort(this.#reason);
    this.#stream.close(error.code === Code.Canceled ? constants.NGHTTP2_CANCEL : constants.NGHTTP2_INTERNAL_ERROR);
    // Node does not destroy a stream whose response was not read.
    this.#stream.destroy();
  }

  readonly #onClose = () => {
    const { rstCode } = this.#stream;
    const isRefused = rstCode === constants.NGHTTP2_REFUSED_STREAM && this.#refusals < maxRefusals;
    if (isRefused && this.#unanswered !== undefined) this.#beginAnew(this.#unanswered);
    else this.#call.fail(this.#reason ?? resetError(rstCode));
  };

  /**
   * The connection was about to close when the call was begun, and the peer has not looked at it, so nothing is done
   * twice. RFC 9113, section 8.7.
   */
  #beginAnew(written: readonly Uint8Array[]): void {
    this.#refusals += 1;
    this.#reason = undefined;
    const beginning = new AbortController();
    this.#beginning = beginning;
    this.#begin(beginning.signal).then(
      (stream) => {
        this.#beginning = undefined;
        if (beginning.signal.aborted) return;
        if (this.#stream.isPaused()) stream.pause();
        this.#stream = this.#heard(stream);
        for (const bytes of written) stream.write(bytes);
        if (this.#isRequestEnded) stream.end();
      },
      (reason: unknown) => this.#call.fail(reason),
    );
  }

  #onEnd(): void {
    // A stream that was reset may say "end" as well, and "close" then tells why.
    if (this.#stream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    this.#call.onEnd();
    // An error takes long to make, and this one tells nothing any more.
    this.#stream.off("close", this.#onClose);
    // A call is over with its response.
    this.end();
  }
}

function uncork(stream: ClientHttp2Stream): void {
  stream.uncork();
}

function headersOf(headers: IncomingHttpHeaders): Headers {
  const result = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(":") || value === undefined) continue;
    for (const each of [value].flat()) result.append(name, each);
  }
  return result;
}

/** The error of a stream that its peer, or the end of its connection, has reset. */
function resetError(rstCode: number): ConnectError {
  return new ConnectError(`the HTTP/2 stream was reset with the code ${rstCode}`, Code.Unavailable);
}
