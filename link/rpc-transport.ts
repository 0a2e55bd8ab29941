import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  appendHeaders,
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import {
  type CommonTransportOptions,
  createClientMethodSerializers,
  createDeadlineSignal,
  createLinkedAbortController,
  createMethodUrl,
  type UniversalClientFn,
} from "@connectrpc/connect/protocol";
import {
  errorFromJsonBytes,
  requestHeader,
  trailerDemux,
  validateResponse,
} from "@connectrpc/connect/protocol-connect";
import { dataOf, envelope } from "../leg/envelope.js";
import { Parts } from "../leg/parts.js";
import { responseMessages } from "../leg/response-messages.js";
import { toConnectError } from "../stream/error/failure-detail.js";
import { StreamError } from "../stream/error/stream-error.js";
import { maxTimerMs } from "../stream/platform/system-clock.js";

/** The largest message that an envelope can hold. */
const maxEnvelopeBytes = 0xffffffff;

export interface RpcTransportOptions {
  httpClient: UniversalClientFn;
  baseUrl: string;
  /** The largest message that a call takes. Default 4 GiB. */
  readMaxBytes?: number;
  /** Default none. */
  interceptors?: Interceptor[];
  /** Whether messages are Protobuf's binary rather than JSON. Default true. */
  useBinaryFormat?: boolean;
  /** How messages are written and read in JSON, such as the types that an `Any` may hold. Default Protobuf's own. */
  jsonOptions?: CommonTransportOptions["jsonOptions"] | undefined;
}

/**
 * Creates a transport in the Connect protocol, without compression, over an HTTP client. Its streaming calls hold
 * nothing that was received, while those of Connect 2.3.0 hold every message until the call ends: Connect races each
 * read against one promise that is as old as the call, and an unsettled promise keeps the result of every race.
 */
export function createRpcTransport(options: RpcTransportOptions): Transport {
  const { httpClient, baseUrl, readMaxBytes = maxEnvelopeBytes, interceptors = [], useBinaryFormat = true } = options;
  const { jsonOptions } = options;

  /** The fields that unary and streaming requests share. */
  const begin = (
    { methodKind, parent }: DescMethod,
    timeoutMs: number | undefined,
    header: HeadersInit | undefined,
    contextValues: ContextValues | undefined,
  ) => ({
    service: parent,
    requestMethod: "POST",
    header: requestHeader(methodKind, useBinaryFormat, timeoutMs, header, false),
    contextValues: contextValues ?? createContextValues(),
  });
  const intercepted = (send: Sender) => interceptors.reduceRight((next, interceptor) => interceptor(next), send);

  async function sendUnary({ method, message, ...request }: UnaryRequest): Promise<UnaryResponse> {
    const { url, header, signal } = request;
    const { serialize, parse } = createClientMethodSerializers(method, useBinaryFormat, jsonOptions);
    const response = await httpClient({ url, method: "POST", header, signal, body: only(serialize(message)) });
    const { isUnaryError, unaryError } = validateResponse("unary", useBinaryFormat, response.status, response.header);
    const bytes = await readWhole(response.body, readMaxBytes);
    const [headers, trailer] = trailerDemux(response.header);
    if (isUnaryError) throw errorFromJsonBytes(bytes, appendHeaders(headers, trailer), unaryError);
    return { ...request, method, header: headers, trailer, message: parse(bytes) };
  }

  async function sendStream({ method, message, ...request }: StreamRequest): Promise<StreamResponse> {
    const { url, header, signal } = request;
    const { serialize, parse } = createClientMethodSerializers(method, useBinaryFormat, jsonOptions);
    async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
      for await (const each of message) yield envelope(0, serialize(each));
    }
    const response = await httpClient({ url, method: "POST", header, signal, body: body() });
    validateResponse(method.methodKind, useBinaryFormat, response.status, response.header);
    const trailer = new Headers();
    const messages = responseMessages({ ...response, trailer }, readMaxBytes, (each) => parse(dataOf(each)));
    return { ...request, method, header: response.header, trailer, message: messages };
  }

  return {
    async unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeadersInit | undefined,
      message: MessageInitShape<I>,
      contextValues?: ContextValues,
    ): Promise<UnaryResponse<I, O>> {
      const call = new Call(signal, timeoutMs);
      const request: UnaryRequest<I, O> = {
        ...begin(method, call.timeoutMs, header, contextValues),
        stream: false,
        url: createMethodUrl(baseUrl, method),
        method,
        signal: call.signal,
        message: create(method.input, message),
      };
      try {
        return (await intercepted(sendUnary as Sender)(request)) as UnaryResponse<I, O>;
      } catch (reason) {
        throw call.errorOf(reason);
      } finally {
        call.end();
      }
    },

    async stream<I extends DescMessage, O extends DescMessage>(
      method: DescMethodStreaming<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeadersInit | undefined,
      input: AsyncIterable<MessageInitShape<I>>,
      contextValues?: ContextValues,
    ): Promise<StreamResponse<I, O>> {
      const call = new Call(signal, timeoutMs);
      const inputs = input[Symbol.asyncIterator]();
      async function* messages() {
        for (let next = await inputs.next(); !next.done; next = await inputs.next()) {
          yield create(method.input, next.value);
        }
      }
      const end = () => {
        call.end();
        // Lets the caller's generator clean up, which may be waiting for something that never comes.
        inputs.return?.().catch(() => {});
      };
      const request: StreamRequest<I, O> = {
        ...begin(method, call.timeoutMs, header, contextValues),
        stream: true,
        url: createMethodUrl(baseUrl, method),
        method,
        signal: call.signal,
        message: messages(),
      };
      try {
        const response = (await intercepted(sendStream as Sender)(request)) as StreamResponse<I, O>;
        return { ...response, message: watched(response.message, call, end) };
      } catch (reason) {
        const error = call.errorOf(reason);
        end();
        throw error;
      }
    },
  };
}

type Sender = Parameters<Interceptor>[0];

/** The signal and the deadline of a call. */
class Call {
  /** Undefined for a call without a deadline, which is asked for by zero or less. At most what a timer can have. */
  readonly timeoutMs: number | undefined;
  readonly #deadline: ReturnType<typeof createDeadlineSignal>;
  readonly #abort: AbortController;

  constructor(signal: AbortSignal | undefined, timeoutMs: number | undefined) {
    this.timeoutMs = timeoutMs !== undefined && timeoutMs > 0 ? Math.min(timeoutMs, maxTimerMs) : undefined;
    this.#deadline = createDeadlineSignal(this.timeoutMs);
    this.#abort = createLinkedAbortController(signal, this.#deadline.signal);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Why the call failed. Not every HTTP client rejects with the reason of the signal. */
  errorOf(reason: unknown): ConnectError {
    if (this.signal.aborted) return ConnectError.from(this.signal.reason, Code.Canceled);
    return reason instanceof StreamError ? toConnectError(reason) : ConnectError.from(reason);
  }

  /** Stops the deadline, and ends a request or a response that is still under way. */
  end(): void {
    this.#deadline.cleanup();
    this.#abort.abort();
  }
}

/** Passes messages on, and calls `end` when there are no more of them or the caller wants no more. */
async function* watched<T>(
  messages: AsyncIterable<T>,
  call: Call,
  end: () => void,
): AsyncGenerator<T, void, undefined> {
  try {
    for await (const message of messages) yield message;
  } catch (reason) {
    throw call.errorOf(reason);
  } finally {
    end();
  }
}

/** The requests of an RPC that takes one, or a body of one chunk. */
export async function* only<T>(single: T): AsyncGenerator<T, void, undefined> {
  yield single;
}

async function readWhole(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw new ConnectError(`a message of more than ${maxBytes} bytes`, Code.ResourceExhausted);
    chunks.push(chunk);
  }
  return new Parts(chunks).joined;
}
