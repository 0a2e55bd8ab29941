import type { UniversalClientFn } from "@connectrpc/connect/protocol";

/**
 * An HTTP client over `fetch`. The body of a request is sent once it is whole: only Chromium can send one as a stream.
 */
export const fetchClient: UniversalClientFn = async ({ url, method, header, body, signal = null }) => {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  if (body !== undefined) for await (const part of body) parts.push(part as Uint8Array<ArrayBuffer>);
  const response = await fetch(url, { method, headers: header, redirect: "error", body: new Blob(parts), signal });
  return { status: response.status, header: response.headers, body: chunks(response), trailer: new Headers() };
};

async function* chunks({ body }: Response): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = body?.getReader();
  if (reader === undefined) return;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    // Does nothing to a body that was read to its end.
    reader.cancel().catch(() => {});
  }
}
