import { checkOptions, invalidArgumentError, type OptionType, wholeNumber } from "../stream/error/options.js";
import type { Clock } from "../stream/platform/clock.js";
import type { StreamClientFactory, StreamServerFactory } from "../web/api/entry.js";
import { type StreamServerOptions, serverOptions } from "../web/api/stream-server.js";
import type { TransportLike } from "../web/transport/transports.js";
import { type ConnectingOptions, connectionsTo } from "./call/connections.js";
import { fetchCall } from "./call/fetch-call.js";
import { type AcceptCaller, HttpServer } from "./call/http-server.js";
import type { HttpHandler } from "./call/served-call.js";
import { defaultMaxCalls, linkStreamOptions } from "./link/stream-link.js";

/** The server has this long to answer; a caller waits a little longer, so that it gets the server's own answer. */
const defaultHeadTimeoutMs = { server: 60_000, caller: 75_000 };

/** Options of `serve`. */
export interface ServeOptions extends Pick<StreamServerOptions, "prefix" | "token" | "listed" | "ownerKey"> {
  /** Calls of one stream that are served at once. A caller opens another stream for more. Default 100. */
  maxCallsPerStream?: number | undefined;
  /**
   * The handler has this many milliseconds to answer; then the caller gets 504. Default 60,000, or what the handler
   * says itself.
   */
  headTimeoutMs?: number | undefined;
  /**
   * Asked for each stream that a caller opens, with the facts that the relay has verified about the caller. The calls
   * of the stream wait until it resolves, within `headTimeoutMs`. False declines them with FAILURE_DECLINED; where it
   * rejects, they are answered with 500. Default: every caller is served.
   */
  accept?: AcceptCaller | undefined;
  /**
   * Told of an error that the handler throws, or that its body fails with, of which the caller hears no more than a
   * status. Default: shown on the console.
   */
  onError?: ((error: unknown, request: Request) => void) | undefined;
}

/** Options of `createFetch`. */
export interface CreateFetchOptions extends ConnectingOptions {
  /** How long to wait for the head of a response, in milliseconds. Default 75,000. */
  headTimeoutMs?: number | undefined;
}

/**
 * Has the signature of `fetch`, and calls one listener.
 *
 * - A path, such as "/cells?since=3", is one of the listener; of a whole URL the listener gets all, and the host says
 *   nothing of where it is.
 * - Rejects with a `StreamError` whose `code`, `failure` and `hop` tell what failed where, and with the signal's reason
 *   when that is aborted. The body of a response fails with the same errors.
 * - Bodies are streamed both ways, at once. Redirects are answers like others.
 */
export interface FetchOverStream {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /**
   * Ends the streams to the listener that have no call, which otherwise end when they have been idle for 4 s. Resolves
   * when they have ended, and never rejects. The next call opens another.
   */
  close(): Promise<void>;
}

/** See {@link HttpEntry.serve} and {@link HttpEntry.createFetch}. */
export interface HttpEntry {
  /**
   * Serves HTTP on a name, at the relay behind a base URL or a Connect transport.
   *
   * - `handler` gets a `Request`, and returns a `Response` or a promise of one. `request.signal` is aborted when the
   *   caller has gone. A byte that the handler writes is on its way at once.
   * - A handler that throws is answered with 500, one that is too slow with 504.
   * - Throws `invalid_argument` for an option that does not exist or cannot have its value. The name may fail the
   *   server: `ready` and `closed` of what is returned reject then.
   * - Call `end()` of what is returned to give the name back.
   *
   * @example
   * const server = serve(relayUrl, "notebook", (request) => new Response(`hello, ${request.url}`));
   * await server.ready;
   */
  serve(transport: TransportLike, name: string, handler: HttpHandler, options?: ServeOptions): HttpServer;
  /**
   * Makes a function with the signature of `fetch` that calls the HTTP server behind a name. It opens a stream with its
   * first call, and keeps it for the next ones. Throws `invalid_argument` for an option that does not exist or cannot
   * have its value.
   *
   * @example
   * const fetchNotebook = createFetch(relayUrl, "notebook");
   * const cells = await (await fetchNotebook("/cells?since=3")).json();
   */
  createFetch(transport: TransportLike, name: string, options?: CreateFetchOptions): FetchOverStream;
}

const isFunction: OptionType = ["a function", (value) => typeof value === "function"];
const { prefix, token, listed, ownerKey } = serverOptions;
const sharedOptions = { prefix, token, headTimeoutMs: wholeNumber };
const serveOptions: Record<keyof ServeOptions, OptionType> = {
  ...sharedOptions,
  listed,
  ownerKey,
  maxCallsPerStream: wholeNumber,
  accept: isFunction,
  onError: isFunction,
};
const fetchOptions: Record<keyof CreateFetchOptions, OptionType> = { ...sharedOptions, waitForListenerMs: wholeNumber };

/** `serve` and `createFetch` over one platform's streams. */
export function createHttpEntry(
  { StreamServer, StreamClient }: { StreamServer: StreamServerFactory; StreamClient: StreamClientFactory },
  clock: Clock,
): HttpEntry {
  return {
    serve(transport, name, handler, options = {}) {
      if (typeof handler !== "function") throw invalidArgumentError("serve takes a function for a handler");
      const {
        accept,
        maxCallsPerStream = defaultMaxCalls,
        headTimeoutMs = handler.headTimeoutMs ?? defaultHeadTimeoutMs.server,
        onError = showError,
        ...listening
      } = checkOptions("serve", options, serveOptions);
      return new HttpServer({
        handler,
        accept,
        maxCallsPerStream,
        headTimeoutMs,
        onError,
        clock,
        listen: (onStream) => StreamServer(transport, { ...listening, ...linkStreamOptions }, onStream).listen(name),
      });
    },
    createFetch(transport, name, options = {}) {
      const { headTimeoutMs = defaultHeadTimeoutMs.caller, ...connecting } = checkOptions(
        "createFetch",
        options,
        fetchOptions,
      );
      const connections = connectionsTo(StreamClient, transport, name, connecting, clock);
      const call = { openChannel: connections.open.bind(connections), headTimeoutMs, clock };
      const fetchOverStream = (input: string | URL | Request, init?: RequestInit) => fetchCall(input, init, call);
      return Object.assign(fetchOverStream, { close: () => connections.close() });
    },
  };
}

function showError(error: unknown): void {
  console.error("browser-stream-server: a handler of HTTP failed:", error);
}
