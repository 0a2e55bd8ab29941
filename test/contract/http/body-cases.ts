import { trailersOf, withTrailers } from "browser-stream-server/http";
import { checkEqual } from "../check.js";
import { type HttpCase, happening } from "./http-case.js";

const mebibyte = 1_048_576;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A body of so many bytes, each the low byte of its place. `onPull` is told how many were asked for so far. */
function patternBody(totalBytes: number, onPull = (_bytes: number) => {}): ReadableStream<Uint8Array<ArrayBuffer>> {
  const chunk = Uint8Array.from({ length: 65_536 }, (_, at) => at & 0xff);
  let sentBytes = 0;
  return new ReadableStream({
    pull(controller) {
      const bytes = Math.min(chunk.byteLength, totalBytes - sentBytes);
      if (bytes > 0) controller.enqueue(chunk.slice(0, bytes));
      sentBytes += bytes;
      onPull(sentBytes);
      if (sentBytes === totalBytes) controller.close();
    },
  });
}

/** Reads a pattern to its end: how many bytes came before one was wrong. */
async function patternBytes(body: ReadableStream<Uint8Array> | null): Promise<number> {
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  let bytes = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    for (const byte of next.value) {
      if (byte !== (bytes & 0xff)) return -bytes;
      bytes += 1;
    }
  }
  return bytes;
}

/** A number that grows, when it has stayed the same for twenty looks, or is beyond the most that it may be. */
async function settled(look: () => Promise<number>, most: number): Promise<number> {
  let last = await look();
  for (let same = 0; same < 20 && last <= most; ) {
    const next = await look();
    same = next === last ? same + 1 : 0;
    last = next;
  }
  return last;
}

/** The duplex option that Node's `fetch` asks for. */
const streaming = (body: ReadableStream) => ({ method: "POST", body, duplex: "half" }) as RequestInit;
const echo = ({ request }: { request: Request }) =>
  new Response(request.body, { headers: { "x-type": request.headers.get("content-type") ?? "none" } });

/** Bodies: of every kind, whole and in pieces, and trailers. */
export const bodyCases: readonly HttpCase[] = [
  {
    name: "all bytes come as they are, both ways",
    handle: async ({ request }) => new Response(await request.arrayBuffer()),
    async call({ fetch }) {
      const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
      const response = await fetch("/", { method: "POST", body: bytes });
      checkEqual("the bytes", new Uint8Array(await response.arrayBuffer()), bytes);
    },
  },
  {
    name: "JSON, text, forms and blobs have their types, and are read as such",
    async handle({ request, path }) {
      if (path === "/json") return Response.json([request.headers.get("content-type"), await request.json()]);
      const type = request.headers.get("content-type") ?? "";
      if (path === "/blob") return Response.json([type, (await request.blob()).type]);
      const form = await request.formData();
      const file = form.get("file");
      const content = file === null || typeof file === "string" ? file : [file.name, await file.text()];
      return Response.json([type.split(";")[0], form.get("é"), content]);
    },
    async call({ fetch }) {
      const ask = async (path: string, body: BodyInit, type?: string) =>
        (await fetch(path, { method: "POST", body, headers: type ? { "content-type": type } : {} })).json();
      checkEqual("JSON", await ask("/json", `{"é":1}`, "application/json"), ["application/json", { é: 1 }]);
      checkEqual("a text", ((await ask("/json", "1")) as unknown[])[0], "text/plain;charset=UTF-8");
      checkEqual("a blob", await ask("/blob", new Blob(["a"], { type: "image/x" })), ["image/x", "image/x"]);
      checkEqual("a query", await ask("/form", new URLSearchParams({ é: "&" })), [
        "application/x-www-form-urlencoded",
        "&",
        null,
      ]);
      const form = new FormData();
      form.set("é", "ü\n");
      form.set("file", new File(["content"], "name.txt"));
      checkEqual("a form", await ask("/form", form), ["multipart/form-data", "ü\r\n", ["name.txt", "content"]]);
    },
  },
  {
    name: "a POST without a body has an empty one of length 0",
    handle: async ({ request }) => new Response(`${request.headers.get("content-length")} "${await request.text()}"`),
    async call({ fetch }) {
      checkEqual("the body", await (await fetch("/", { method: "POST" })).text(), '0 ""');
    },
  },
  {
    name: "a body in memory has its length",
    handle: ({ request }) => new Response(request.headers.get("content-length")),
    async call({ fetch }) {
      checkEqual("the length", await (await fetch("/", { method: "POST", body: "é" })).text(), "2");
    },
  },
  {
    name: "a GET has no body, and no trailers",
    handle: async ({ request }) => Response.json([request.body === null, [...(await trailersOf(request))]]),
    async call({ fetch }) {
      checkEqual("the request", await (await fetch("/")).json(), [true, []]);
    },
  },
  {
    name: "clones of a request are read apart, with all headers",
    async handle({ request }) {
      const clone = request.clone();
      const both = await Promise.all([request.text(), clone.text()]);
      return Response.json([
        ...both,
        request.bodyUsed,
        clone.headers.get("x-kept"),
        clone.method,
        clone.url === request.url,
      ]);
    },
    async call({ fetch }) {
      const response = await fetch("/", { method: "PUT", body: "twice", headers: { "x-kept": "yes" } });
      const clone = response.clone();
      const expected = ["twice", "twice", true, "yes", "PUT", true];
      checkEqual("the answer", await response.json(), expected);
      checkEqual("its clone", await clone.json(), expected);
      checkEqual("its headers", clone.headers.get("content-type"), response.headers.get("content-type"));
    },
  },
  {
    name: "4 MiB come down whole",
    handle: () => new Response(patternBody(4 * mebibyte)),
    async call({ fetch }) {
      checkEqual("the bytes", await patternBytes((await fetch("/")).body), 4 * mebibyte);
    },
  },
  {
    name: "4 MiB go up whole, as a stream",
    handle: async ({ request }) => new Response(String(await patternBytes(request.body))),
    async call({ fetch }) {
      const response = await fetch("/", streaming(patternBody(4 * mebibyte)));
      checkEqual("the bytes", await response.text(), String(4 * mebibyte));
    },
  },
  {
    name: "4 MiB go up and come down at once",
    needs: ["duplex"],
    handle: echo,
    async call({ fetch }) {
      const response = await fetch("/", streaming(patternBody(4 * mebibyte)));
      checkEqual("the bytes", await patternBytes(response.body), 4 * mebibyte);
    },
  },
  {
    name: "an event is read before the next is written",
    handle({ path, run }) {
      if (path === "/next") {
        happening(run, "next").resolve("");
        return new Response("");
      }
      const body = new ReadableStream({
        async start(controller) {
          controller.enqueue(encoder.encode("data: 1\n\n"));
          await happening(run, "next").promise;
          controller.enqueue(encoder.encode("data: 2\n\n"));
          controller.close();
        },
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    },
    async call({ fetch }) {
      const reader = (await fetch("/")).body?.getReader();
      checkEqual("the first event", decoder.decode((await reader?.read())?.value), "data: 1\n\n");
      await (await fetch("/next")).text();
      checkEqual("the second event", decoder.decode((await reader?.read())?.value), "data: 2\n\n");
      checkEqual("the end", (await reader?.read())?.done, true);
    },
  },
  {
    name: "a response begins before its request has ended, and each answers the other",
    needs: ["duplex"],
    handle: echo,
    async call({ fetch }) {
      let controller!: ReadableStreamDefaultController<Uint8Array>;
      const body = new ReadableStream<Uint8Array>({
        start(given) {
          controller = given;
        },
      });
      const reader = (await fetch("/", streaming(body))).body?.getReader();
      for (const word of ["one", "two", "three"]) {
        controller.enqueue(encoder.encode(word));
        checkEqual("the echo", decoder.decode((await reader?.read())?.value), word);
      }
      controller.close();
      checkEqual("the end", (await reader?.read())?.done, true);
    },
  },
  {
    name: "a body whose reader stops stops its sender, and holds up no other call",
    handle({ path, run }) {
      if (path === "/sent") return new Response(produced.get(run) ?? "");
      return new Response(patternBody(Number.POSITIVE_INFINITY, (bytes) => produced.set(run, String(bytes))));
    },
    async call({ fetch, maxUnreadBytes }) {
      const reader = (await fetch("/")).body?.getReader();
      await reader?.read();
      const sent = await settled(async () => Number(await (await fetch("/sent")).text()), maxUnreadBytes);
      await reader?.cancel();
      checkEqual(`${sent} bytes were sent, which is more than none and`, sent > 0 && sent <= maxUnreadBytes, true);
    },
  },
  {
    name: "a request whose reader stops stops its sender, and is answered",
    needs: ["duplex"],
    handle: async ({ request, path, run }) => {
      if (path === "/answer") happening(run, "answer").resolve("");
      if (path !== "/") return new Response("");
      await request.body?.getReader().read();
      await happening(run, "answer").promise;
      return new Response("unread");
    },
    async call({ fetch, maxUnreadBytes }) {
      let sentBytes = 0;
      let onCancel = (_canceled: boolean) => {};
      const canceled = new Promise<boolean>((resolve) => {
        onCancel = resolve;
      });
      const chunk = new Uint8Array(65_536);
      const body = new ReadableStream({
        pull(controller) {
          sentBytes += chunk.byteLength;
          controller.enqueue(chunk.slice());
        },
        cancel: () => onCancel(true),
      });
      const response = fetch("/", streaming(body));
      const unreadBytes = await settled(async () => {
        await (await fetch("/another")).text();
        return sentBytes;
      }, maxUnreadBytes);
      await (await fetch("/answer")).text();
      checkEqual("the answer", await (await response).text(), "unread");
      checkEqual(`${unreadBytes} bytes were sent, which is few`, unreadBytes <= maxUnreadBytes, true);
      checkEqual("the request was canceled", await canceled, true);
    },
  },
  {
    name: "a response has trailers after its body",
    needs: ["trailers"],
    handle({ path }) {
      let bytes = 0;
      const body = patternBody(100_000, (sent) => {
        bytes = sent;
      });
      const trailers = () => ({ "x-bytes": String(bytes), "x-text": "a\xe9" });
      return withTrailers(
        new Response(path === "/none" ? null : body),
        path === "/none" ? { "x-bytes": "0" } : trailers,
      );
    },
    async call({ fetch }) {
      for (const [method, path, expected] of [
        ["GET", "/", "100000"],
        ["GET", "/none", "0"],
      ] as const) {
        const response = await fetch(path, { method });
        await response.arrayBuffer();
        checkEqual("the trailer", (await trailersOf(response)).get("x-bytes"), expected);
      }
    },
  },
  {
    name: "a response to HEAD has trailers",
    needs: ["trailers of HEAD"],
    handle: () => withTrailers(new Response(null), { "x-bytes": "0" }),
    async call({ fetch }) {
      const response = await fetch("/", { method: "HEAD" });
      await response.arrayBuffer();
      checkEqual("the trailer", (await trailersOf(response)).get("x-bytes"), "0");
    },
  },
  {
    name: "a request has trailers after its body",
    needs: ["trailers"],
    async handle({ request }) {
      const body = await request.text();
      return new Response(`${body} ${(await trailersOf(request)).get("x-sum")}`);
    },
    async call({ fetch, url }) {
      const request = withTrailers(new Request(url("/"), { method: "POST", body: "1 2 3" }), { "x-sum": "6" });
      checkEqual("the answer", await (await fetch(request)).text(), "1 2 3 6");
    },
  },
  {
    name: "300 calls at once are all answered",
    calls: "hundreds",
    handle: async ({ request }) => new Response(await request.text()),
    async call({ fetch }) {
      const calls = Array.from({ length: 300 }, async (_, at) =>
        (await fetch("/", { method: "POST", body: String(at) })).text(),
      );
      checkEqual(
        "the answers",
        await Promise.all(calls),
        Array.from({ length: 300 }, (_, at) => String(at)),
      );
    },
  },
];

/** The bytes that were asked for in each run. */
const produced = new Map<string, string>();
