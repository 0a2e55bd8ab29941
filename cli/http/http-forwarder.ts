import { Agent, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { hasNoBody } from "../../http/message/head.js";
import { trailersOf, withTrailers } from "../../http/message/trailers.js";
import { chunksOf } from "../../http/service/byte-stream.js";
import { passedTrailers } from "../../server/gateway/passed-headers.js";
import type { HttpTarget } from "./http-target.js";
import { unreachableAnswer } from "./unreachable-answer.js";

/** Connections to the local server at once; further requests wait for one. It is the number that browsers agree on. */
const maxConnections = 256;
/** A server on this machine or near it takes a connection at once, or is not there. */
const connectTimeoutMs = 8_000;

/** Methods that a program may repeat by itself. RFC 9110, section 9.2.2. */
const idempotent = /^(GET|HEAD|OPTIONS|PUT|DELETE)$/;

/** A local server took no connection, or broke it before it had answered. */
export class UnreachableError extends Error {
  readonly isTimeout: boolean;

  constructor(cause: NodeJS.ErrnoException) {
    super(cause.code ?? cause.message, { cause });
    this.isTimeout = cause.code === "ETIMEDOUT";
  }
}

/** Passes requests on to a local server over HTTP/1.1, bodies as streams both ways. */
export class HttpForwarder {
  readonly #target: HttpTarget;
  readonly #agent = new Agent({ keepAlive: true, maxTotalSockets: maxConnections, maxSockets: maxConnections });
  readonly #onReach: (error: UnreachableError | undefined) => void;

  /** `onReach` is told of each request whether the server was reached. */
  constructor(target: HttpTarget, onReach: (error: UnreachableError | undefined) => void) {
    this.#target = target;
    this.#onReach = onReach;
  }

  /**
   * Answers a request with the local server's answer, with 502 or 504 where it cannot be reached, and with 400 for a
   * head that Node does not write.
   */
  async forward(given: Request): Promise<Response> {
    let outgoing: ClientRequest;
    try {
      outgoing = this.#request(given);
    } catch {
      // `Headers` takes control characters, and HTTP/1.1 does not. RFC 9110, section 5.5.
      return new Response(null, { status: 400 });
    }
    try {
      const incoming = await this.#answered(given, outgoing);
      this.#onReach(undefined);
      try {
        return responseOf(given.method, incoming);
      } catch (reason) {
        incoming.destroy();
        throw reason;
      }
    } catch (reason) {
      given.signal.throwIfAborted();
      if (!(reason instanceof UnreachableError)) throw reason;
      this.#onReach(reason);
      return unreachableAnswer(given, reason.isTimeout ? 504 : 502);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #request({ url, method, headers, body, signal }: Request): ClientRequest {
    const { host, port, authority } = this.#target;
    const { pathname, search } = new URL(url);
    const passed: OutgoingHttpHeaders = { host: authority };
    for (const [name, value] of headers) if (name !== "host" && name !== "expect") passed[name] = value;
    // The body that is sent decides about its framing, because bytes beyond it belong to the next request of the
    // connection. Node sends a body of DELETE and OPTIONS without any, unless it is told to.
    if (body === null) delete passed["content-length"];
    else if (passed["content-length"] === undefined) passed["transfer-encoding"] = "chunked";
    // Trailers go behind chunks, and Node throws for their announcement anywhere else.
    if (passed["transfer-encoding"] === undefined) delete passed.trailer;
    return request({ agent: this.#agent, host, port, method, path: pathname + search, headers: passed, signal });
  }

  /** Resolves with the head of the answer. Rejects with an `UnreachableError`. */
  async #answered(given: Request, first: ClientRequest): Promise<IncomingMessage> {
    try {
      return await answerOf(given, first);
    } catch (reason) {
      // A server may end a connection that it has kept in the moment in which it is used again.
      const isStale = first.reusedSocket && (reason as NodeJS.ErrnoException).code === "ECONNRESET";
      const isRepeatable = given.body === null && idempotent.test(given.method);
      if (!isStale || !isRepeatable) throw new UnreachableError(reason as NodeJS.ErrnoException);
    }
    try {
      return await answerOf(given, this.#request(given));
    } catch (reason) {
      throw new UnreachableError(reason as NodeJS.ErrnoException);
    }
  }
}

function answerOf(given: Request, outgoing: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on("socket", (socket) => {
      if (!socket.connecting) return;
      const late = () => outgoing.destroy(Object.assign(new Error("it takes no connection"), { code: "ETIMEDOUT" }));
      const timer = setTimeout(late, connectTimeoutMs);
      for (const event of ["connect", "close"]) socket.once(event, () => clearTimeout(timer));
    });
    outgoing.on("response", resolve);
    outgoing.on("error", reject);
    // It comes alone where the server switches to another protocol, which nobody has asked for.
    outgoing.on("close", () => reject(new Error("it has not answered")));
    sendBody(given, outgoing).catch((reason: unknown) => outgoing.destroy(reason as Error));
  });
}

async function sendBody(given: Request, outgoing: ClientRequest): Promise<void> {
  if (given.body !== null) {
    // An answer may come, and end, before the body has been sent; then the rest of it is canceled at the caller. Where
    // the server breaks the connection, the body is left as it is, because canceling it would end the call unanswered.
    await pipeline(chunksOf(given.body), outgoing, { end: false });
    const trailers = passedTrailers(await trailersOf(given));
    if (trailers.length > 0) outgoing.addTrailers(Object.fromEntries(trailers.map(({ name, value }) => [name, value])));
  }
  outgoing.end();
}

function responseOf(method: string, incoming: IncomingMessage): Response {
  const { statusCode: status = 502, rawHeaders } = incoming;
  // Headers of the connection are copied too: the stream drops them.
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at] as string, rawHeaders[at + 1] as string);
  }
  const isEmpty = hasNoBody(method, status);
  // The connection is kept for the next request when the answer has been read to its end.
  if (isEmpty) incoming.resume();
  const body = isEmpty ? null : (Readable.toWeb(incoming) as unknown as ReadableStream<Uint8Array<ArrayBuffer>>);
  return withTrailers(new Response(body, { status, headers }), () => incoming.trailersDistinct as never);
}
