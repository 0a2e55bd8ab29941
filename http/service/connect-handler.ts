import {
  Code,
  type ConnectRouter,
  type ConnectRouterOptions,
  type ContextKey,
  createConnectRouter,
  createContextKey,
  createContextValues,
} from "@connectrpc/connect";
import { headBytes, headersToWire, maxHeadBytes } from "../../link/packet/header.js";
import { toConnectError } from "../../stream/error/failure-detail.js";
import { checkOptions, invalidArgumentError, type OptionType, primitive } from "../../stream/error/options.js";
import type { Caller } from "../../stream/stream.js";
import type { HttpHandler } from "../call/served-call.js";
import { withTrailers } from "../message/trailers.js";
import { chunksOf, streamOf } from "./byte-stream.js";
import { gzip } from "./gzip.js";
import { withShortTimeout } from "./short-timeout.js";
import { shownErrors } from "./shown-errors.js";
import { addStandardServices } from "./standard-services.js";

/** gRPC's own default for the largest message that a server or a client takes. */
export const defaultReadMaxBytes = 4_194_304;

/** Options of `connectHandler`: those of Connect's router, and more. */
export interface ConnectHandlerOptions extends ConnectRouterOptions {
  /** Whether gRPC's health of the services is served, too. Default true. */
  health?: boolean | undefined;
  /** Whether gRPC's reflection is served, too, which tells callers what the services look like. Default true. */
  reflection?: boolean | undefined;
  /**
   * Told of an error that an implementation throws by mistake, of which its caller hears no more than `internal`, and
   * of the path of its method. Default: shown on the console.
   */
  onError?: ((error: unknown, path: string) => void) | undefined;
  /** Answers requests that are for none of the services. Default: 404. */
  fallback?: HttpHandler | undefined;
}

const anything: OptionType = ["anything", () => true];
const isFunction: OptionType = ["a function", (value) => typeof value === "function"];
const handlerOptions: Record<keyof ConnectHandlerOptions, OptionType> = {
  fallback: isFunction,
  health: primitive("boolean"),
  reflection: primitive("boolean"),
  onError: isFunction,
  // Connect checks its own options.
  acceptCompression: anything,
  binaryOptions: anything,
  compressMinBytes: anything,
  connect: anything,
  grpc: anything,
  grpcWeb: anything,
  interceptors: anything,
  jsonOptions: anything,
  maxTimeoutMs: anything,
  readMaxBytes: anything,
  requestGate: anything,
  requireConnectProtocolHeader: anything,
  shutdownSignal: anything,
  writeMaxBytes: anything,
};

/**
 * The facts that the relay has verified about who calls, among the values of a call's context. Undefined for a request
 * that did not come over a stream.
 *
 * @example
 * const add = ({ a, b }, context) => ({ sum: a + b, for: context.values.get(callerKey)?.subject });
 */
export const callerKey: ContextKey<Caller | undefined> = createContextKey<Caller | undefined>(undefined, {
  description: "caller of a stream",
});

/**
 * Makes a handler for `serve` of the services that `routes` registers on a router of Connect. It answers Connect, gRPC
 * and gRPC-Web, in all four kinds of call.
 *
 * - gRPC's health and reflection are served, too, unless the application does so itself.
 * - A message of a request has 4 MiB at most, unless `readMaxBytes` says otherwise.
 * - A call may take as long as its own deadline allows, unless `serve` has a `headTimeoutMs`.
 * - `context.signal` of an implementation is aborted when the caller cancels, when its deadline is over, and when it
 *   has gone.
 * - Throws `invalid_argument` for an option that does not exist or cannot have its value.
 *
 * @example
 * serve(relayUrl, "calculator", connectHandler((router) => router.service(CalculatorService, { add, subscribe })));
 */
export function connectHandler(
  routes: (router: ConnectRouter) => unknown,
  options: ConnectHandlerOptions = {},
): HttpHandler {
  if (typeof routes !== "function") throw invalidArgumentError("connectHandler takes a function for the routes");
  const {
    fallback = notFound,
    health = true,
    reflection = true,
    onError = showError,
    interceptors = [],
    ...routerOptions
  } = checkOptions("connectHandler", options, handlerOptions);
  const router = createConnectRouter({
    readMaxBytes: defaultReadMaxBytes,
    acceptCompression: [gzip],
    ...routerOptions,
    interceptors: [shownErrors(onError), ...interceptors],
  });
  routes(router);
  addStandardServices(router, { health, reflection, shutdownSignal: routerOptions.shutdownSignal });
  const byPath = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const handle: HttpHandler = async (request, info) => {
    const { method, url, headers, body, signal } = request;
    const handler = byPath.get(new URL(url).pathname);
    if (handler === undefined) return fallback(request, info);
    const response = await handler({
      // A stream carries both bodies at once, as HTTP/2 does and HTTP/1.1 does not.
      httpVersion: "2.0",
      method,
      url,
      header: withShortTimeout(headers),
      body: chunksOf(body),
      signal: connectSignal(signal),
      contextValues: createContextValues().set(callerKey, info?.caller),
    });
    const { status, header, trailer } = response;
    return withTrailers(
      new Response(response.body && streamOf(response.body), { status, headers: header ?? {} }),
      () => (trailer === undefined ? {} : fittingTrailers(trailer)),
    );
  };
  // A stream of a service may be silent for hours before its first message, with which its head is sent.
  return Object.assign(handle, { headTimeoutMs: Number.POSITIVE_INFINITY });
}

/**
 * Returns the trailers of gRPC, or others that say why those cannot be sent: a channel carries no larger ones, and a
 * call without its status looks as if it had broken off.
 */
function fittingTrailers(trailers: Headers): Headers {
  if (headBytes(headersToWire(trailers)) <= maxHeadBytes) return trailers;
  const message = `the trailers of the call have more than ${maxHeadBytes} bytes`;
  return new Headers({ "grpc-status": String(Code.ResourceExhausted), "grpc-message": message });
}

function showError(error: unknown, path: string): void {
  console.error(`browser-stream-server: the implementation of ${path} failed:`, error);
}

/** A signal that is aborted with the signal of a request, for a reason of which Connect knows the code. */
function connectSignal(signal: AbortSignal): AbortSignal {
  const abort = new AbortController();
  const onAbort = () => abort.abort(toConnectError(signal.reason));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return abort.signal;
}

function notFound(): Response {
  return new Response(null, { status: 404 });
}
