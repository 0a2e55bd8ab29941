import type { MemoryRelay } from "../../../test/fakes/relay-links.js";

/** A request as an HTTP/2 client sends it. */
export interface HttpRequest {
  path: string;
  headers: Record<string, string>;
  body: Uint8Array[];
}

/** A response as an HTTP/2 client receives it. */
export interface HttpResponse {
  status: number;
  headers: Headers;
  body: Uint8Array;
  trailers: Headers;
}

/** Makes one HTTP/2 request to a relay without a network. Resolves with the response once it has ended. */
export async function httpExchange(relay: MemoryRelay, request: HttpRequest): Promise<HttpResponse> {
  const { path, headers, body } = request;
  const handler = relay.handlers.find(({ requestPath }) => requestPath === path);
  if (handler === undefined) throw new Error(`nothing is served at ${path}`);
  const response = await handler({
    httpVersion: "2.0",
    method: "POST",
    url: `http://local${path}`,
    header: new Headers(headers),
    body: (async function* () {
      yield* body;
    })(),
    signal: new AbortController().signal,
  });
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body ?? []) chunks.push(chunk);
  return {
    status: response.status,
    headers: new Headers(response.header),
    body: Buffer.concat(chunks),
    trailers: new Headers(response.trailer),
  };
}
