import { downloadMessages } from "./download.ts";

/** The body of a short answer: 100 bytes. */
export const shortBody: string = "a".repeat(100);

/** The paths of the handler, below those of a name. */
export const downloadPath = (bytes: number): string => `download?bytes=${bytes}`;
export const eventsPath = (count: number, intervalMs: number): string =>
  `events?count=${count}&intervalMs=${intervalMs}`;

/** A clock that all processes and tabs of a machine share, in ms with fractions. */
export const sharedMs = (): number => performance.timeOrigin + performance.now();

/** The bench's server: 100 bytes, a download, or server-sent events. It runs in Node and in a page. */
export function handleHttp({ url }: Request): Response {
  const { pathname, searchParams } = new URL(url);
  const parameter = (name: string) => Number(searchParams.get(name));
  if (pathname.endsWith("/download")) return new Response(downloadBody(parameter("bytes")));
  if (pathname.endsWith("/events")) return events(parameter("count"), parameter("intervalMs"));
  return new Response(shortBody, { headers: { "content-type": "text/plain", "content-length": "100" } });
}

function downloadBody(bytes: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  const messages = downloadMessages(bytes);
  return new ReadableStream({
    pull(controller) {
      const { value, done } = messages.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  });
}

/** Each event says when it was enqueued. */
function events(count: number, intervalMs: number): Response {
  const encoder = new TextEncoder();
  let sent = 0;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      const send = () => {
        controller.enqueue(encoder.encode(`data: ${sharedMs()}\n\n`));
        sent += 1;
        if (sent < count) setTimeout(send, intervalMs);
        else controller.close();
      };
      send();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}
