import { create, type Message } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createWritableIterable } from "@connectrpc/connect/protocol";
import { conformanceRegistry, headersOf, sleep } from "./conformance-service.js";
import {
  type ClientCompatRequest,
  type ClientResponseResult,
  ClientResponseResultSchema,
} from "./gen/connectrpc/conformance/v1/client_compat_pb.js";
import { StreamType } from "./gen/connectrpc/conformance/v1/config_pb.js";
import {
  type ConformancePayload,
  ConformancePayloadSchema,
  ConformanceService,
  ErrorSchema,
  type Error as WireError,
} from "./gen/connectrpc/conformance/v1/service_pb.js";

interface Response {
  payload?: ConformancePayload | undefined;
}
type Options = { headers: Headers; signal: AbortSignal; timeoutMs: number | undefined } & Record<
  "onHeader" | "onTrailer",
  (headers: Headers) => void
>;
/** Clients of all methods, as the kinds of their calls are. */
type Unary = (request: Message, options: Options) => Promise<Response>;
type ServerStream = (request: Message, options: Options) => AsyncIterable<Response>;
type ClientStream = (requests: AsyncIterable<Message>, options: Options) => Promise<Response>;
type BidiStream = (requests: AsyncIterable<Message>, options: Options) => AsyncIterable<Response>;

/** Makes the call that a request of the conformance suite describes, and returns what came of it. */
export function conformanceCall(request: ClientCompatRequest, transport: Transport): Promise<ClientResponseResult> {
  return new ConformanceCall(request).run(transport);
}

class ConformanceCall {
  readonly #request: ClientCompatRequest;
  readonly #messages: Message[];
  readonly #abort = new AbortController();
  readonly #payloads: ConformancePayload[] = [];
  #sent = 0;
  #responses = 0;
  #header: Headers | undefined;
  #trailer: Headers | undefined;

  constructor(request: ClientCompatRequest) {
    this.#request = request;
    this.#messages = request.requestMessages.map((each) => anyUnpack(each, conformanceRegistry) as Message);
  }

  async run(transport: Transport): Promise<ClientResponseResult> {
    let error: ConnectError | undefined;
    try {
      await this.#call(transport);
    } catch (reason) {
      error = ConnectError.from(reason);
    }
    // The metadata of an error has headers and trailers together.
    const { metadata } = error ?? {};
    return create(ClientResponseResultSchema, {
      responseHeaders: headersOf(this.#header ?? metadata ?? new Headers()),
      responseTrailers: headersOf(this.#trailer ?? metadata ?? new Headers()),
      payloads: this.#payloads,
      numUnsentRequests: this.#messages.length - this.#sent,
      ...(error !== undefined && { error: wireError(error) }),
    });
  }

  async #call(transport: Transport): Promise<void> {
    const { method = "", streamType, requestHeaders, timeoutMs, requestDelayMs } = this.#request;
    const name = method.charAt(0).toLowerCase() + method.slice(1);
    const call = (createClient(ConformanceService, transport) as unknown as Record<string, unknown>)[name];
    const headers = new Headers();
    for (const { name, value } of requestHeaders) for (const each of value) headers.append(name, each);
    const options: Options = {
      headers,
      signal: this.#abort.signal,
      timeoutMs,
      onHeader: (header) => {
        this.#header = header;
      },
      onTrailer: (trailer) => {
        this.#trailer = trailer;
      },
    };
    const [first] = this.#messages as [Message];
    switch (streamType) {
      case StreamType.UNARY:
        await sleep(requestDelayMs, this.#abort.signal);
        this.#sent = 1;
        this.#sendClosed();
        return this.#receive(await (call as Unary)(first, options));
      case StreamType.SERVER_STREAM:
        await sleep(requestDelayMs, this.#abort.signal);
        this.#sent = 1;
        return this.#receiveAll((call as ServerStream)(first, options), () => this.#sendClosed());
      case StreamType.CLIENT_STREAM:
        return this.#receive(await (call as ClientStream)(this.#requests(), options));
      case StreamType.HALF_DUPLEX_BIDI_STREAM:
        return this.#receiveAll((call as BidiStream)(this.#requests(), options));
      default:
        return this.#alternate(call as BidiStream, options);
    }
  }

  async *#requests(): AsyncGenerator<Message, void, undefined> {
    for (const message of this.#messages) {
      await sleep(this.#request.requestDelayMs, this.#abort.signal);
      yield message;
      this.#sent += 1;
    }
    this.#endSending();
  }

  /** Sends a request when the answer to the one before has come. */
  async #alternate(call: BidiStream, options: Options): Promise<void> {
    const requests = createWritableIterable<Message>();
    const responses = call(requests, options)[Symbol.asyncIterator]();
    for (const message of this.#messages) {
      await sleep(this.#request.requestDelayMs, this.#abort.signal);
      void requests.write(message).catch(() => {});
      const response = await responses.next();
      this.#sent += 1;
      if (response.done) break;
      this.#receive(response.value);
    }
    this.#endSending();
    requests.close();
    await this.#receiveAll({ [Symbol.asyncIterator]: () => responses });
  }

  /** Cancels the call where it is to be canceled before its requests end, or some time after. */
  #endSending(): void {
    if (this.#request.cancel?.cancelTiming.case === "beforeCloseSend") this.#abort.abort();
    else this.#sendClosed();
  }

  #sendClosed(): void {
    const { cancelTiming } = this.#request.cancel ?? {};
    if (cancelTiming?.case === "afterCloseSendMs") setTimeout(() => this.#abort.abort(), cancelTiming.value);
  }

  async #receiveAll(responses: AsyncIterable<Response>, onOpen = () => {}): Promise<void> {
    onOpen();
    for await (const response of responses) this.#receive(response);
  }

  #receive({ payload }: Response): void {
    this.#payloads.push(payload ?? create(ConformancePayloadSchema));
    this.#responses += 1;
    const { cancelTiming } = this.#request.cancel ?? {};
    if (cancelTiming?.case === "afterNumResponses" && cancelTiming.value === this.#responses) this.#abort.abort();
  }
}

function wireError({ code, rawMessage, details }: ConnectError): WireError {
  return create(ErrorSchema, {
    code: code as number,
    message: rawMessage,
    details: details.flatMap((detail) =>
      "type" in detail ? [{ typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value }] : [],
    ),
  });
}
