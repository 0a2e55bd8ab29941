import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { pipeline, Readable } from "node:stream";
import { keepTrailers, trailersToSend } from "../../../http/message/trailers.js";
import { Deferred } from "../../../stream/platform/deferred.js";

/** Something like `fetch` on one connection of HTTP/2 whose calls may have any head, and which has trailers. */
export interface Http2Fetch {
  fetch(input: string | Request, init?: RequestInit): Promise<Response>;
  close(): Promise<void>;
}

/** Opens a connection to the origin, whatever the host in the URLs of the calls. */
export function openHttp2Fetch(origin: string): Http2Fetch {
  const session = connect(origin);
  session.on("error", () => {});
  return {
    fetch: (input, init) => callOn(session, input, init),
    close: () =>
      new Promise((resolve) => {
        session.once("close", resolve);
        session.destroy();
      }),
  };
}

async function callOn(session: ClientHttp2Session, input: string | Request, init: RequestInit = {}): Promise<Response> {
  const given = typeof input === "string" ? undefined : input;
  const url = new URL(given?.url ?? String(input));
  const method = init.method ?? given?.method ?? "GET";
  const signal = init.signal ?? given?.signal;
  signal?.throwIfAborted();
  const content = init.body === undefined || init.body === null ? given : new Response(init.body);
  const headers = new Headers(init.headers ?? given?.headers);
  const type = content?.headers.get("content-type");
  if (type && !headers.has("content-type")) headers.set("content-type", type);
  const isWhole = !(init.body instanceof ReadableStream) && content?.body;
  const whole = isWhole ? new Uint8Array(await content.arrayBuffer()) : undefined;
  if (whole !== undefined) headers.set("content-length", String(whole.byteLength));
  else if (method === "POST" && !content?.body) headers.set("content-length", "0");
  // A client of HTTP/2 sends no headers of a connection.
  const named = (headers.get("connection") ?? "").split(",").map((name) => name.trim());
  for (const name of named.filter((each) => each !== "")) headers.delete(name);
  for (const name of ["connection", "keep-alive", "te", "transfer-encoding", "upgrade", "proxy-connection", "host"]) {
    headers.delete(name);
  }
  const trailers = Object.fromEntries(await trailersToSend(given));
  // The signal may have been aborted meanwhile.
  signal?.throwIfAborted();
  const hasTrailers = Object.keys(trailers).length > 0;
  const stream = session.request(
    {
      ...Object.fromEntries(headers),
      ":method": method,
      ":scheme": url.protocol.slice(0, -1),
      ":authority": url.host,
      ":path": url.pathname + url.search,
    },
    { waitForTrailers: hasTrailers },
  );
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  return answerOf(stream, method, signal, () => {
    if (whole !== undefined) return void stream.end(whole);
    if (content?.body) pipeline(Readable.fromWeb(content.body as never), stream, () => {});
    else stream.end();
  });
}

async function answerOf(
  stream: ClientHttp2Stream,
  method: string,
  signal: AbortSignal | undefined | null,
  send: () => void,
): Promise<Response> {
  const answered = new Deferred<Response>();
  const trailers = new Deferred<Headers>();
  let abortReason: unknown;
  const onAbort = () => {
    abortReason = signal?.reason;
    stream.destroy(abortReason as Error);
    answered.reject(abortReason);
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  let received = new Headers();
  stream.on("trailers", (fields) => {
    received = new Headers(Object.entries(fields).map(([name, value]) => [name, String(value)]));
  });
  stream.on("error", (error) => {
    answered.reject(error);
    trailers.reject(error);
  });
  stream.on("close", () => {
    answered.reject(new Error("no answer"));
    trailers.resolve(received);
  });
  stream.on("response", (fields) => {
    const { ":status": status = 0, ...rest } = fields;
    const headers = new Headers();
    for (const [name, value] of Object.entries(rest)) {
      for (const each of [value].flat()) if (each !== undefined) headers.append(name, String(each));
    }
    const isEmpty = method === "HEAD" || [204, 205, 304].includes(status);
    if (isEmpty) stream.resume();
    const body = isEmpty ? null : (Readable.toWeb(stream) as ReadableStream<Uint8Array<ArrayBuffer>>);
    const response = new Response(body, { status });
    const clone = response.clone.bind(response);
    const withHeaders = (made: Response): Response => Object.defineProperty(made, "headers", { value: headers });
    withHeaders(response).clone = () => withHeaders(clone());
    keepTrailers(response, { trailers: trailers.promise });
    answered.resolve(response);
  });
  send();
  return answered.promise;
}
