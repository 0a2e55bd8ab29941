import { create, createRegistry, type DescMessage, type Message } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  type ConformancePayload,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  ConformancePayloadSchema,
  type ConformanceService,
  type Error as ErrorDefinition,
  file_connectrpc_conformance_v1_service,
  type Header,
  HeaderSchema,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.js";

/** The types that an `Any` of the suite may hold, for messages in JSON. */
export const conformanceRegistry = createRegistry(file_connectrpc_conformance_v1_service);

type ResponseHeads = Pick<UnaryResponseDefinition, "responseHeaders" | "responseTrailers">;

/** The service that the conformance suite of Connect calls: each request says how it is to be answered. */
export const conformanceService: Partial<ServiceImpl<typeof ConformanceService>> = {
  async unary(request, context) {
    const requests = [anyPack(UnaryRequestSchema, request)];
    return { payload: await answer(request.responseDefinition, requests, context) };
  },

  async idempotentUnary(request, context) {
    const requests = [anyPack(IdempotentUnaryRequestSchema, request)];
    return { payload: await answer(request.responseDefinition, requests, context) };
  },

  async clientStream(stream, context) {
    const received = await packed(ClientStreamRequestSchema, stream);
    return { payload: await answer(received.first?.responseDefinition, received.requests, context) };
  },

  async *serverStream({ responseDefinition, ...request }, context) {
    const requests = [
      anyPack(ServerStreamRequestSchema, { ...request, ...(responseDefinition && { responseDefinition }) }),
    ];
    if (responseDefinition === undefined) return;
    sendHeads(responseDefinition, context);
    let info: ConformancePayload_RequestInfo | undefined = requestInfo(requests, context);
    for (const data of responseDefinition.responseData) {
      await sleep(responseDefinition.responseDelayMs, context.signal);
      yield { payload: payload(data, info) };
      info = undefined;
    }
    if (responseDefinition.error !== undefined) throw errorOf(responseDefinition.error, info);
  },

  async *bidiStream(stream, context) {
    const iterator = stream[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done) return;
    const { responseDefinition, fullDuplex } = first.value;
    if (responseDefinition !== undefined) sendHeads(responseDefinition, context);
    const { responseData = [], responseDelayMs = 0, error } = responseDefinition ?? {};
    let requests = [anyPack(BidiStreamRequestSchema, first.value)];
    let sent = 0;
    for (let next = fullDuplex ? first : await iterator.next(); !next.done; next = await iterator.next()) {
      if (next !== first) requests.push(anyPack(BidiStreamRequestSchema, next.value));
      if (!fullDuplex) continue;
      const data = responseData[sent];
      // There is nothing left to send but the error.
      if (data === undefined) break;
      await sleep(responseDelayMs, context.signal);
      yield { payload: payload(data, requestInfo(requests, context)) };
      requests = [];
      sent += 1;
    }
    for (const data of responseData.slice(sent)) {
      await sleep(responseDelayMs, context.signal);
      const info = sent === 0 ? requestInfo(requests, context) : undefined;
      yield { payload: payload(data, info) };
      sent += 1;
    }
    if (error !== undefined) throw errorOf(error, sent === 0 ? requestInfo(requests, context) : undefined);
  },
};

async function answer(
  definition: UnaryResponseDefinition | undefined,
  requests: Any[],
  context: HandlerContext,
): Promise<ConformancePayload> {
  const info = requestInfo(requests, context);
  if (definition === undefined) return payload(undefined, info);
  sendHeads(definition, context);
  await sleep(definition.responseDelayMs, context.signal);
  const { response } = definition;
  if (response.case === "error") throw errorOf(response.value, info);
  return payload(response.value, info);
}

/** Reads a stream to its end. */
async function packed<T extends Message>(
  desc: DescMessage,
  stream: AsyncIterable<T>,
): Promise<{ first: T | undefined; requests: Any[] }> {
  let first: T | undefined;
  const requests: Any[] = [];
  for await (const request of stream) {
    first ??= request;
    requests.push(anyPack(desc, request));
  }
  return { first, requests };
}

function sendHeads({ responseHeaders, responseTrailers }: ResponseHeads, context: HandlerContext): void {
  for (const [headers, to] of [
    [responseHeaders, context.responseHeader],
    [responseTrailers, context.responseTrailer],
  ] as const) {
    for (const { name, value } of headers) for (const each of value) to.append(name, each);
  }
}

function requestInfo(
  requests: Any[],
  { requestHeader, requestMethod, timeoutMs, url }: HandlerContext,
): ConformancePayload_RequestInfo {
  const timeout = timeoutMs();
  return create(ConformancePayload_RequestInfoSchema, {
    requestHeaders: headersOf(requestHeader),
    requests,
    ...(timeout !== undefined && { timeoutMs: BigInt(Math.round(timeout)) }),
    ...(requestMethod === "GET" && { connectGetInfo: { queryParams: headersOf(new URL(url).searchParams) } }),
  });
}

export function headersOf(entries: Iterable<[string, string]>): Header[] {
  return [...entries].map(([name, value]) => create(HeaderSchema, { name, value: [value] }));
}

function payload(data: Uint8Array | undefined, info: ConformancePayload_RequestInfo | undefined): ConformancePayload {
  return create(ConformancePayloadSchema, { ...(data && { data }), ...(info && { requestInfo: info }) });
}

/** The error of a definition, with what came, where no message has said it. */
function errorOf(
  { code, message, details }: ErrorDefinition,
  info: ConformancePayload_RequestInfo | undefined,
): ConnectError {
  const error = new ConnectError(message ?? "", code as number);
  const all = info === undefined ? details : [...details, anyPack(ConformancePayload_RequestInfoSchema, info)];
  for (const { typeUrl, value } of all)
    error.details.push({ type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value });
  return error;
}

/** Rejects with the reason of the signal as soon as that is aborted. */
export async function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (delayMs === 0) return;
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, delayMs);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
