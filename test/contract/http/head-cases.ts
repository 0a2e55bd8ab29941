import { checkEqual } from "../check.js";
import { type HttpCase, happening } from "./http-case.js";

const text = async (response: Response) => [response.status, await response.text()];

/** Answers with what came. */
const mirror = async (request: Request, path: string) =>
  Response.json({
    method: request.method,
    path,
    search: new URL(request.url).search,
    headers: [...request.headers],
    body: await request.text(),
  });

/** The headers that came, as a record. */
async function headersSeen(response: Response): Promise<Record<string, string>> {
  const { headers } = (await response.json()) as { headers: [string, string][] };
  return Object.fromEntries(headers);
}

/** Heads: methods, paths, statuses and headers. */
export const headCases: readonly HttpCase[] = [
  {
    name: "a GET has the status, the headers and the body of the handler",
    handle: () => new Response("made", { status: 201, headers: { "x-made": "yes", "content-type": "text/x-made" } }),
    async call({ fetch }) {
      const response = await fetch("/");
      checkEqual("the answer", await text(response), [201, "made"]);
      checkEqual(
        "the headers",
        ["x-made", "content-type"].map((name) => response.headers.get(name)),
        ["yes", "text/x-made"],
      );
    },
  },
  {
    name: "path and query come as they were sent, with encoded slashes and characters",
    handle: ({ request, path }) => mirror(request, path),
    async call({ fetch }) {
      const { path, search } = (await (await fetch("/a%2Fb/%C3%A9%20/?q=1&q=%26")).json()) as Record<string, string>;
      checkEqual("the path", [path, search], ["/a%2Fb/%C3%A9%20/", "?q=1&q=%26"]);
    },
  },
  {
    name: "each method comes as it is",
    handle: ({ request }) => new Response(request.method),
    async call({ fetch }) {
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"]) {
        checkEqual("the method", await text(await fetch("/", { method })), [200, method]);
      }
    },
  },
  {
    name: "statuses come as they are",
    handle: ({ path }) => new Response("why", { status: Number(path.slice(1)) }),
    async call({ fetch }) {
      for (const status of [200, 299, 300, 400, 404, 418, 429, 500, 502, 503, 599]) {
        checkEqual("the answer", await text(await fetch(`/${status}`)), [status, "why"]);
      }
    },
  },
  {
    name: "a status without a body has none, whatever its Content-Length",
    handle: ({ path }) =>
      new Response(null, { status: Number(path.slice(1)), headers: { "x-kept": "yes", "content-length": "5" } }),
    async call({ fetch }) {
      for (const status of [204, 205, 304]) {
        const response = await fetch(`/${status}`);
        checkEqual("the answer", await text(response), [status, ""]);
        checkEqual("the header", response.headers.get("x-kept"), "yes");
      }
    },
  },
  {
    name: "a HEAD has the headers of a GET, Content-Length included, and no body",
    handle: () => new Response("12345", { headers: { "content-length": "5", etag: '"1"' } }),
    async call({ fetch }) {
      const response = await fetch("/", { method: "HEAD" });
      checkEqual("the answer", await text(response), [200, ""]);
      checkEqual(
        "the headers",
        ["content-length", "etag"].map((name) => response.headers.get(name)),
        ["5", '"1"'],
      );
    },
  },
  {
    name: "a HEAD reads nothing of the handler's body, and cancels it",
    handle({ path, run }) {
      if (path === "/end") return happening(run, "end").promise.then((end) => new Response(end));
      const end = (word: string) => happening(run, "end").resolve(word);
      // Without a place for a chunk, it is asked for one only by a reader.
      const body = new ReadableStream({ pull: () => end("read"), cancel: () => end("canceled") }, { highWaterMark: 0 });
      return new Response(body);
    },
    async call({ fetch }) {
      checkEqual("the answer", await text(await fetch("/", { method: "HEAD" })), [200, ""]);
      checkEqual("the body was", await (await fetch("/end")).text(), "canceled");
    },
  },
  {
    name: "a Range is the handler's to answer",
    handle: ({ request }) => {
      const [, from = "", to = ""] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
      const headers = { "content-range": `bytes ${from}-${to}/10`, "accept-ranges": "bytes" };
      return new Response("0123456789".slice(Number(from), Number(to) + 1), { status: 206, headers });
    },
    async call({ fetch }) {
      const response = await fetch("/", { headers: { range: "bytes=2-4" } });
      checkEqual("the answer", await text(response), [206, "234"]);
      checkEqual("Content-Range", response.headers.get("content-range"), "bytes 2-4/10");
    },
  },
  {
    name: "ETag and If-None-Match go through",
    handle: ({ request }) => {
      const isKnown = request.headers.get("if-none-match") === '"7"';
      return new Response(isKnown ? null : "whole", { status: isKnown ? 304 : 200, headers: { etag: '"7"' } });
    },
    async call({ fetch }) {
      const first = await fetch("/");
      checkEqual("the first answer", await text(first), [200, "whole"]);
      const etag = first.headers.get("etag") ?? "";
      const second = await fetch("/", { headers: { "if-none-match": etag }, cache: "no-store" });
      checkEqual("the second answer", await text(second), [304, ""]);
    },
  },
  {
    name: "each Set-Cookie stays by itself",
    needs: ["cookies"],
    handle: () => {
      const headers = new Headers();
      for (const cookie of ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2", "b=3"]) {
        headers.append("set-cookie", cookie);
      }
      // A browser keeps Set-Cookie out of a page's own response, but not out of headers that stand beside it.
      return Object.defineProperty(new Response("cookies"), "headers", { value: headers });
    },
    async call({ fetch }) {
      checkEqual("the cookies", (await fetch("/")).headers.getSetCookie(), [
        "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
        "b=2",
        "b=3",
      ]);
    },
  },
  {
    name: "a repeated header has all its values",
    handle: () =>
      new Response("", {
        headers: [
          ["x-many", "1"],
          ["x-many", "2, 3"],
        ],
      }),
    async call({ fetch }) {
      checkEqual("the header", (await fetch("/")).headers.get("x-many"), "1, 2, 3");
    },
  },
  {
    name: "headers that a page may not send come as well",
    needs: ["any head"],
    handle: ({ request, path }) => mirror(request, path),
    async call({ fetch }) {
      const given = { cookie: "a=1", origin: "https://example.com", referer: "https://example.com/x", via: "1.1 a" };
      const headers = await headersSeen(await fetch("/", { headers: given }));
      checkEqual(
        "the headers",
        Object.keys(given).map((name) => headers[name]),
        Object.values(given),
      );
    },
  },
  {
    name: "headers of one connection do not reach the handler",
    needs: ["any head"],
    handle: ({ request, path }) => mirror(request, path),
    async call({ fetch }) {
      const given = {
        connection: "x-hop, keep-alive",
        "x-hop": "1",
        "keep-alive": "timeout=5",
        te: "trailers",
        "transfer-encoding": "chunked",
        upgrade: "websocket",
        "proxy-connection": "close",
        "x-end": "1",
      };
      const headers = await headersSeen(await fetch("/", { headers: given }));
      checkEqual(
        "the headers",
        Object.keys(given).filter((name) => name in headers),
        ["x-end"],
      );
    },
  },
  {
    name: "headers of one connection do not reach the caller",
    handle: () => {
      const headers = { connection: "x-hop", "x-hop": "1", "keep-alive": "timeout=99", upgrade: "h2c", "x-end": "1" };
      return Object.defineProperty(new Response(""), "headers", { value: new Headers(headers) });
    },
    async call({ fetch }) {
      const { headers } = await fetch("/");
      const seen = ["x-hop", "upgrade", "x-end"].filter((name) => headers.has(name));
      checkEqual("the headers", [seen, headers.get("keep-alive") === "timeout=99"], [["x-end"], false]);
    },
  },
  {
    name: "Forwarded says what is verified, and nothing that a caller claims",
    handle: ({ request, path }) => mirror(request, path),
    async call({ fetch }) {
      const claims = {
        forwarded: "for=1.2.3.4",
        "x-forwarded-for": "1.2.3.4",
        "x-forwarded-user": "root",
        "x_forwarded-user": "root",
        "x-forwarded-prefix": "/x",
      };
      const headers = await headersSeen(await fetch("/", { headers: claims }));
      checkEqual("the user", headers["x-forwarded-user"] ?? headers["x_forwarded-user"], undefined);
      checkEqual("the prefix is the caller's", headers["x-forwarded-prefix"] === "/x", false);
      checkEqual("the address", JSON.stringify(headers).includes("1.2.3.4"), false);
      checkEqual("the scheme", headers.forwarded?.includes(`proto=${headers["x-forwarded-proto"]}`), true);
      checkEqual("the host", headers.forwarded?.includes(`host="${headers["x-forwarded-host"]}"`), true);
    },
  },
  {
    name: "a header may have characters of Latin-1",
    handle({ request, path, run }) {
      if (path === "/read") {
        happening(run, "read").resolve("");
        return new Response("");
      }
      // The body comes when the head has arrived, so that the head goes out alone.
      const body = new ReadableStream({
        async pull(controller) {
          await happening(run, "read").promise;
          controller.close();
        },
      });
      return new Response(body, { headers: { "x-back": request.headers.get("x-there") ?? "" } });
    },
    async call({ fetch }) {
      const response = await fetch("/", { headers: { "x-there": "a\xe9\xff" } });
      await (await fetch("/read")).text();
      checkEqual("the header", response.headers.get("x-back"), "a\xe9\xff");
      checkEqual("the body", await response.text(), "");
    },
  },
  {
    name: "heads of 60 KB go through both ways",
    needs: ["any head"],
    handle: ({ request }) => new Response("", { headers: { "x-back": request.headers.get("x-there") ?? "" } }),
    async call({ fetch }) {
      const long = "x".repeat(60_000);
      checkEqual(
        "the header",
        (await fetch("/", { headers: { "x-there": long } })).headers.get("x-back") === long,
        true,
      );
    },
  },
  {
    name: "a response with a head of 100 KB is answered with 500",
    handle: () => new Response("", { headers: { "x-long": "x".repeat(100_000) } }),
    async call({ fetch }) {
      checkEqual("the status", (await fetch("/")).status, 500);
    },
  },
  {
    name: "a header with a newline is answered with 500",
    handle: () => new Response("", { headers: { "x-split": "a\r\nset-cookie: b=1" } }),
    async call({ fetch }) {
      const response = await fetch("/");
      checkEqual("the answer", [response.status, response.headers.getSetCookie()], [500, []]);
    },
  },
];
