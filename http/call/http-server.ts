import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { PeerLink } from "../../link/peer-link.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { Caller } from "../../stream/stream.js";
import { httpMetadata, serveLink } from "../link/stream-link.js";
import type { LinkStream } from "../link/stream-pipe.js";
import { type ServingOptions, serveCall } from "./served-call.js";

/** Calls that are under way when the server ends have this long to be done. */
const drainTimeoutMs = 10_000;

/** The stream server below, as far as one of HTTP needs it. */
export interface Listening {
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  end(): Promise<void>;
}

/** A stream that a caller has opened, for a server that decides who may call. */
export interface CallerStream {
  /** The relay's id of the stream, for logs. */
  readonly id: string;
  /** Resolves when the stream has ended, and rejects with the `StreamError` if it has failed. */
  readonly closed: Promise<void>;
  /** Ends the stream and the calls on it at once. The caller gets the code and the message of the error. */
  destroy(error?: unknown): unknown;
}

/** Decides whether the calls of a stream are served. */
export type AcceptCaller = (caller: Caller, stream: CallerStream) => boolean | Promise<boolean>;

export interface HttpServerInit extends ServingOptions {
  accept: AcceptCaller | undefined;
  maxCallsPerStream: number;
  /** Claims the name; each client is handed to `onStream`. */
  listen: (onStream: (stream: LinkStream) => void) => Listening;
  clock: Clock;
}

/**
 * An HTTP server behind a name.
 *
 * - `ready` resolves when the name is claimed, and rejects with FAILURE_NAME_TAKEN and other failures that prevent it.
 * - `closed` resolves after `end()`, and rejects if the server failed. Neither becomes an unhandled rejection.
 * - An error that nobody listens for is shown once, on the console of a page or on standard error in Node.
 * - Call `end()` to give the name back.
 */
export class HttpServer {
  readonly #listening: Listening;
  readonly #init: HttpServerInit;
  readonly #links = new Map<LinkStream, PeerLink>();
  #state: "serving" | "ending" = "serving";

  constructor(init: HttpServerInit) {
    this.#init = init;
    this.#listening = init.listen((stream) => this.#onStream(stream));
  }

  get ready(): Promise<void> {
    return this.#listening.ready;
  }

  get closed(): Promise<void> {
    return this.#listening.closed;
  }

  /**
   * Gives the name back, and refuses new calls with FAILURE_DRAINING. Resolves when the name is free and the calls
   * under way have ended; those that take longer than 10 s are cut off. Never rejects.
   */
  async end(): Promise<void> {
    this.#state = "ending";
    for (const link of this.#links.values()) this.#closeIfIdle(link);
    const stop = this.#init.clock.after(drainTimeoutMs, () => {
      for (const stream of this.#links.keys()) stream.destroy(drainingError());
    });
    await this.#listening.end();
    await Promise.allSettled([...this.#links.keys()].map(({ closed }) => closed));
    stop();
  }

  #onStream(stream: LinkStream): void {
    if (stream.metadata.protocol !== httpMetadata.protocol) {
      return stream.reject(Code.FailedPrecondition, "this listener serves HTTP");
    }
    const { accept, handler } = this.#init;
    let decision: boolean | Promise<boolean> | undefined;
    const serving: ServingOptions = { ...this.#init };
    if (accept !== undefined) {
      // Calls wait for the decision, because an offer waits for less time than a person needs.
      serving.handler = async (request, info) => {
        decision ??= accept(info.caller as Caller, stream);
        if (!(await decision)) throw declined(stream);
        return handler(request, info);
      };
    }
    const link: PeerLink = serveLink(stream, {
      maxCalls: this.#init.maxCallsPerStream,
      onRequest: (channel, request) => {
        if (this.#state === "ending") return channel.reset(drainingError());
        return serveCall(channel, request, stream.caller, serving);
      },
    });
    this.#links.set(stream, link);
    link.onIdle = () => {
      if (this.#state === "ending") this.#closeIfIdle(link);
    };
    stream.on("close", () => this.#links.delete(stream));
  }

  /** The end of the last response may still wait to be sent, so the link is closed when the caller has it. */
  #closeIfIdle(link: PeerLink): void {
    if (link.size > 0) return;
    link.ping().then(
      () => link.closeIfIdle(),
      () => {},
    );
  }
}

/** Ends the stream of a caller that is not served, and returns the error. */
function declined(stream: LinkStream): StreamError {
  const error = new StreamError("declined", { failure: Failure.DECLINED });
  stream.destroy(error);
  return error;
}

function drainingError(): StreamError {
  const message = "the HTTP server has ended";
  return new StreamError(message, { failure: Failure.DRAINING, hop: Hop.PEER });
}
