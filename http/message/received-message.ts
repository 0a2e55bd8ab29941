import { keepTrailers } from "./trailers.js";

/** The parts of a request that came over a stream. */
export interface ReceivedRequest {
  url: string;
  method: string;
  headers: Headers;
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** Aborted when the call is over before its response is. */
  signal: AbortSignal;
  trailers: Promise<Headers>;
  /** Why the body failed, if it did. */
  failure: () => unknown;
}

/** The parts of a response that came over a stream. */
export interface ReceivedResponse {
  url: string;
  status: number;
  headers: Headers;
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null;
  trailers: Promise<Headers>;
  /** Why the body failed, if it did. */
  failure: () => unknown;
}

const bodyMethods = ["arrayBuffer", "blob", "bytes", "formData", "json", "text"] as const;

/**
 * Returns a `Request` with all the headers that came, and with a body that is a stream. Browsers keep a page from
 * making one: they drop Cookie, Host, Origin and others, and Firefox takes no stream for the body of a request. So
 * headers and body are properties of the object itself, and the body is read as that of a `Response`, which each
 * browser has.
 */
export function createRequest(parts: ReceivedRequest, given?: Response): Request {
  const { url, method, headers, body, signal, trailers, failure } = parts;
  // Most requests have no body, and nobody asks for it.
  let made = given;
  const content = () => {
    made ??= new Response(body, { headers: contentType(headers) });
    return made;
  };
  const request = new Request(url, { method, signal });
  Object.defineProperties(request, {
    ...bodyReaders(content, failure),
    headers: { value: headers },
    body: { get: () => content().body },
    bodyUsed: { get: () => content().bodyUsed },
    clone: { value: () => createRequest({ ...parts, headers: new Headers(headers) }, content().clone()) },
  });
  keepTrailers(request, trailers);
  return request;
}

/**
 * Returns a `Response` with all the headers that came, Set-Cookie included, which browsers keep from a page's own
 * responses.
 */
export function createResponse(parts: ReceivedResponse): Response {
  const { body, status, headers } = parts;
  return responseOf(parts, new Response(body, { status, headers: contentType(headers) }));
}

function responseOf(parts: ReceivedResponse, response: Response): Response {
  const { url, headers, trailers, failure } = parts;
  const { clone } = response;
  Object.defineProperties(response, {
    ...bodyReaders(() => response, failure),
    headers: { value: headers },
    url: { value: url },
    clone: { value: () => responseOf({ ...parts, headers: new Headers(headers) }, clone.call(response)) },
  });
  keepTrailers(response, trailers);
  return response;
}

/**
 * The methods that read a whole body. A body that fails makes them reject with its reason, where browsers have a
 * `TypeError` of their own.
 */
function bodyReaders(content: () => Response, failure: () => unknown): PropertyDescriptorMap {
  const readers = bodyMethods.map((name) => {
    // The method of the platform: the property of the content may be this one.
    const read = Response.prototype[name];
    const value = () => read.call(content()).catch((reason: unknown) => Promise.reject(failure() ?? reason));
    return [name, { value }] as const;
  });
  return Object.fromEntries(readers);
}

/** The type of the body, which `formData` and `blob` ask for. */
function contentType(headers: Headers): HeadersInit {
  const type = headers.get("content-type");
  return type === null ? {} : { "content-type": type };
}
