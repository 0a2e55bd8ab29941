import type { MessageBodies } from "./message-bodies.js";
import { keepTrailers } from "./trailers.js";

/** The parts of a request that came over a stream. */
export interface RequestParts {
  url: string;
  method: string;
  headers: Headers;
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** Aborted when the call is over before its response is. */
  signal: AbortSignal;
  /** The bodies of the call, which know its trailers, and why it failed. */
  bodies: Pick<MessageBodies, "trailers" | "reason">;
}

/** The parts of a response that came over a stream. */
export interface ResponseParts {
  url: string;
  status: number;
  headers: Headers;
  /** The bodies of the call, which know its trailers, and why it failed. */
  bodies: Pick<MessageBodies, "trailers" | "reason">;
}

/**
 * A `Request` with all the headers that came, and with a body that is a stream. Browsers keep a page from making one:
 * they drop Cookie, Host, Origin and others, and Firefox takes no stream for the body of a request. So headers and body
 * are those of this class, and the body is read as that of a `Response`, which each browser has.
 *
 * Tools that play a page in Node, as jest does with jsdom, load this class where there is no `Request`.
 */
export class ReceivedRequest extends (globalThis.Request ?? Object) {
  readonly #parts: RequestParts;
  #content: Response | undefined;

  static {
    defineReaders(
      ReceivedRequest,
      (request) => request.#whole,
      (request) => request.#parts.bodies,
    );
  }

  constructor(parts: RequestParts, content?: Response) {
    const { url, method, signal, bodies } = parts;
    super(url, { method, signal });
    this.#parts = parts;
    this.#content = content;
    keepTrailers(this, bodies);
  }

  override get headers(): Headers {
    return this.#parts.headers;
  }

  override get body(): ReadableStream<Uint8Array<ArrayBuffer>> | null {
    return this.#whole.body;
  }

  override get bodyUsed(): boolean {
    return this.#whole.bodyUsed;
  }

  override clone(): Request {
    return new ReceivedRequest({ ...this.#parts, headers: new Headers(this.headers) }, this.#whole.clone());
  }

  /** The body. Most requests have none, and nobody asks for it. `formData` and `blob` read its type in the headers. */
  get #whole(): Response {
    const { body, headers } = this.#parts;
    this.#content ??= new Response(body, { headers });
    return this.#content;
  }
}

/**
 * A `Response` with all the headers that came, Set-Cookie included, which browsers keep from a page's own responses.
 */
export class ReceivedResponse extends (globalThis.Response ?? Object) {
  readonly #parts: ResponseParts;

  static {
    defineReaders(
      ReceivedResponse,
      (response) => response,
      (response) => response.#parts.bodies,
    );
  }

  constructor(body: ReadableStream<Uint8Array<ArrayBuffer>> | null, parts: ResponseParts) {
    const { status, headers, bodies } = parts;
    super(body, { status, headers });
    this.#parts = parts;
    keepTrailers(this, bodies);
  }

  override get headers(): Headers {
    return this.#parts.headers;
  }

  override get url(): string {
    return this.#parts.url;
  }

  override clone(): Response {
    return new ReceivedResponse(super.clone().body, { ...this.#parts, headers: new Headers(this.headers) });
  }
}

/**
 * Gives a class the methods that read a whole body. A body that fails makes them reject with its reason, where browsers
 * have a `TypeError` of their own.
 */
function defineReaders<M>(
  { prototype }: { prototype: M },
  contentOf: (message: M) => Response,
  bodiesOf: (message: M) => RequestParts["bodies"],
): void {
  for (const name of ["arrayBuffer", "blob", "bytes", "formData", "json", "text"] as const) {
    const value = function (this: M) {
      // The method of the platform: that of the content may be this one.
      const read: Promise<unknown> = Response.prototype[name].call(contentOf(this));
      return read.catch((reason: unknown) => Promise.reject(bodiesOf(this).reason ?? reason));
    };
    Object.defineProperty(prototype, name, { value });
  }
}
