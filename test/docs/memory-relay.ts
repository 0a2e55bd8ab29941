import { type Client, Code, createClient, createConnectRouter, type Transport } from "@connectrpc/connect";
import { createUniversalHandlerClient, type UniversalHandler } from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import { RelayService } from "../../gen/streamserver/v1/relay_pb.js";
import { Directory } from "../../server/relay/directory.js";
import type { Relay } from "../../server/relay/relay.js";
import { relayRoutes } from "../../server/rpc/relay-routes.js";
import { newRelay } from "../fakes/relays.js";

/** A relay without a network, and its handlers, which take HTTP requests and give HTTP responses. */
export interface MemoryRelay {
  relay: Relay;
  handlers: readonly UniversalHandler[];
  client: Client<typeof RelayService>;
}

const noCompression = { acceptCompression: [], compressMinBytes: Number.MAX_SAFE_INTEGER };
const maxMessageBytes = 0xffffffff;

export function newMemoryRelay(): MemoryRelay {
  const { relay } = newRelay();
  const router = createConnectRouter(noCompression);
  relayRoutes(router, relay, new Directory(relay));
  const transport: Transport = createTransport({
    ...noCompression,
    httpClient: createUniversalHandlerClient(router.handlers),
    baseUrl: "http://local",
    useBinaryFormat: true,
    interceptors: [],
    sendCompression: null,
    readMaxBytes: maxMessageBytes,
    writeMaxBytes: maxMessageBytes,
  });
  return { relay, handlers: router.handlers, client: createClient(RelayService, transport) };
}

/** What an HTTP client sends and gets. */
export interface HttpRequest {
  path: string;
  headers: Record<string, string>;
  body: Uint8Array[];
}

export interface HttpResponse {
  status: number;
  headers: Headers;
  body: Uint8Array;
  trailers: Headers;
}

/** One HTTP/2 exchange with a relay, from its first header to its last trailer. */
export async function exchange({ handlers }: MemoryRelay, { path, headers, body }: HttpRequest): Promise<HttpResponse> {
  const handler = handlers.find(({ requestPath }) => requestPath === path);
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

/** Listens on a name, and answers the first client with one message and fin. Resolves when the name is claimed. */
export async function greetOneClient({ client }: MemoryRelay, name: string, greeting: string): Promise<void> {
  const abort = new AbortController();
  const events = client.listen({ name, listed: true }, { signal: abort.signal })[Symbol.asyncIterator]();
  await events.next();
  void (async () => {
    const { value } = await events.next();
    if (value?.event.case !== "offer") throw new Error("there was no offer");
    const { streamId, legToken } = value.event.value;
    const messages = [{ data: new TextEncoder().encode(greeting), text: true }];
    async function* requests() {
      yield { message: { case: "open" as const, value: { streamId, legToken } } };
      yield { message: { case: "frame" as const, value: { sequence: 1n, messages, fin: true } } };
    }
    for await (const _ of client.accept(requests()));
    abort.abort(Code.Canceled);
  })();
}
