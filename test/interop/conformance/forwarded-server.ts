import { createNodeHttpClient, Http2SessionManager } from "@connectrpc/connect-node";
import { type HttpHandler, serve, withTrailers } from "browser-stream-server/http";
import { chunksOf, streamOf } from "../../../http/service/byte-stream.js";

/** Serves a server of HTTP/2 on this machine behind a name. Resolves when it can be called. */
export async function forwardServer(relayUrl: string, name: string, url: string): Promise<{ end(): Promise<void> }> {
  const sessions = new Http2SessionManager(url);
  const client = createNodeHttpClient({ httpVersion: "2", sessionProvider: () => sessions });
  const handler: HttpHandler = async (request) => {
    const { pathname, search } = new URL(request.url);
    const header = new Headers(request.headers);
    header.delete("host");
    const { body, signal, method } = request;
    const answer = await client({ url: url + pathname + search, method, header, body: chunksOf(body), signal });
    const response = new Response(streamOf(answer.body), { status: answer.status, headers: answer.header });
    return withTrailers(response, () => answer.trailer);
  };
  const server = serve(relayUrl, name, Object.assign(handler, { headTimeoutMs: 60_000 }), { onError: () => {} });
  await server.ready;
  return {
    async end() {
      await server.end();
      sessions.abort();
    },
  };
}
