import { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { PeerLink } from "../../link/peer-link.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";
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

export interface HttpServerInit extends ServingOptions {
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
  readonly #idle = new Deferred<void>();
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
   * Gives the name back, and refuses new calls with FAILURE_DRAINING. Resolves when the name is free and the calls under
   * way have ended; those that take longer than 10 s are cut off. Never rejects.
   */
  async end(): Promise<void> {
    this.#state = "ending";
    for (const link of this.#links.values()) this.#closeIfIdle(link);
    const stop = this.#init.clock.after(drainTimeoutMs, () => {
      for (const stream of this.#links.keys()) stream.destroy(drainingError());
    });
    await this.#listening.end();
    if (this.#links.size > 0) await this.#idle.promise;
    stop();
  }

  #onStream(stream: LinkStream): void {
    if (stream.metadata.protocol !== httpMetadata.protocol) {
      return stream.reject(Code.FailedPrecondition, "this listener serves HTTP over the stream, which starts as such");
    }
    const link: PeerLink = serveLink(stream, {
      maxCalls: this.#init.maxCallsPerStream,
      onRequest: (channel, request) => {
        if (this.#state === "ending") return channel.reset(drainingError());
        return serveCall(channel, request, stream.caller, this.#init);
      },
    });
    this.#links.set(stream, link);
    link.onIdle = () => {
      if (this.#state === "ending") this.#closeIfIdle(link);
    };
    stream.on("close", () => {
      this.#links.delete(stream);
      if (this.#state === "ending" && this.#links.size === 0) this.#idle.resolve();
    });
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

function drainingError(): StreamError {
  const message = "the HTTP server has ended";
  return new StreamError(message, { failure: Failure.DRAINING, hop: Hop.PEER });
}
