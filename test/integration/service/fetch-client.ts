import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { trailersOf } from "browser-stream-server/http";
import { chunksOf, streamOf } from "../../../http/service/byte-stream.js";

/**
 * An HTTP client for Connect's transports that calls with `fetch` over a stream: bodies both ways at once, and
 * trailers.
 */
export function fetchClient(fetch: (url: string, init: RequestInit) => Promise<Response>): UniversalClientFn {
  return async ({ url, method, header, body, signal }) => {
    const response = await fetch(url, {
      method,
      headers: header,
      ...(signal && { signal }),
      ...(body && { body: streamOf(body) }),
    });
    const trailer = new Headers();
    async function* received() {
      yield* chunksOf(response.body);
      for (const [name, value] of await trailersOf(response)) trailer.append(name, value);
    }
    return { status: response.status, header: response.headers, body: received(), trailer };
  };
}
