import { Code, Failure, Hop } from "browser-stream-server";
import { checkEqual, checkRejects } from "../check.js";
import { type HttpCase, happening } from "./http-case.js";

const encoder = new TextEncoder();
/** Answers a request that asks what happened in the run, when it has happened. */
const whatHappened = async (run: string) => new Response(await happening(run, "end").promise);
const toldBy = async (fetch: (path: string) => Promise<Response>) => (await fetch("/end")).text();

/** A body of one chunk that goes on, and notes its end. */
function openBody(run: string, chunk = "first"): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start: (controller) => controller.enqueue(encoder.encode(chunk)),
    cancel: () => happening(run, "end").resolve("canceled"),
  });
}

/** Notes when the request is aborted. */
function noteAbort(request: Request, run: string): void {
  request.signal.addEventListener("abort", () => happening(run, "end").resolve("aborted"));
}

/** The error that a promise rejects with. */
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );

/** Ends that are none of a whole call, and bad input. */
export const endingCases: readonly HttpCase[] = [
  {
    name: "an aborted call rejects with the signal's reason, and aborts the request of the handler",
    handle({ request, path, run }) {
      if (path === "/end") return whatHappened(run);
      if (path === "/begun") return happening(run, "begun").promise.then(() => new Response(""));
      noteAbort(request, run);
      happening(run, "begun").resolve("");
      return new Promise(() => {});
    },
    async call({ fetch }) {
      const abort = new AbortController();
      const failed = errorOf(fetch("/", { signal: abort.signal }));
      await (await fetch("/begun")).text();
      const reason = new Error("enough");
      abort.abort(reason);
      checkEqual("the reason", (await failed) === reason, true);
      checkEqual("the request was", await toldBy(fetch), "aborted");
    },
  },
  {
    name: "a call that is aborted in the turn that makes it rejects",
    handle: ({ path }) => (path === "/first" ? new Response("") : new Promise(() => {})),
    async call({ fetch }) {
      // The second call has a stream at once, and waits for none.
      for (let calls = 0; calls < 2; calls += 1) {
        const abort = new AbortController();
        const failed = errorOf(fetch("/", { signal: abort.signal }));
        abort.abort();
        checkEqual("the error", ((await failed) as Error).name, "AbortError");
        await (await fetch("/first")).text();
      }
    },
  },
  {
    name: "a call that is aborted in its body fails there, and cancels the body of the handler",
    handle: ({ path, run }) => (path === "/end" ? whatHappened(run) : new Response(openBody(run))),
    async call({ fetch }) {
      const abort = new AbortController();
      const reader = (await fetch("/", { signal: abort.signal })).body?.getReader();
      checkEqual("the first chunk", (await reader?.read())?.done, false);
      abort.abort();
      checkEqual("the error", ((await errorOf(reader?.read() as Promise<unknown>)) as Error).name, "AbortError");
      checkEqual("the body was", await toldBy(fetch), "canceled");
    },
  },
  {
    name: "a body that its reader cancels is canceled at the handler",
    handle: ({ path, run }) => (path === "/end" ? whatHappened(run) : new Response(openBody(run))),
    async call({ fetch }) {
      await (await fetch("/")).body?.cancel();
      checkEqual("the body was", await toldBy(fetch), "canceled");
    },
  },
  {
    name: "a body that is canceled aborts the request of the handler",
    handle({ request, path, run }) {
      if (path === "/end") return whatHappened(run);
      noteAbort(request, run);
      return new Response(new ReadableStream({ start: (controller) => controller.enqueue(encoder.encode("first")) }));
    },
    async call({ fetch }) {
      await (await fetch("/")).body?.cancel();
      checkEqual("the request was", await toldBy(fetch), "aborted");
    },
  },
  {
    name: "an answer that comes after its caller has gone is canceled",
    handle({ request, path, run }) {
      if (path === "/end") return whatHappened(run);
      if (path === "/begun") return happening(run, "begun").promise.then(() => new Response(""));
      happening(run, "begun").resolve("");
      return new Promise((resolve) =>
        request.signal.addEventListener("abort", () => resolve(new Response(openBody(run)))),
      );
    },
    async call({ fetch }) {
      const abort = new AbortController();
      const failed = errorOf(fetch("/", { signal: abort.signal }));
      await (await fetch("/begun")).text();
      abort.abort();
      await failed;
      checkEqual("the body was", await toldBy(fetch), "canceled");
    },
  },
  {
    name: "a signal that was aborted before makes no call",
    handle: ({ path, run }) => {
      if (path === "/end") return whatHappened(run);
      happening(run, "end").resolve(path);
      return new Response("");
    },
    async call({ fetch }) {
      checkEqual(
        "the error",
        ((await errorOf(fetch("/never", { signal: AbortSignal.abort() }))) as Error).name,
        "AbortError",
      );
      await fetch("/later");
      checkEqual("the call was", await toldBy(fetch), "/later");
    },
  },
  {
    name: "a response whose body fails fails in its body",
    handle: () =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(encoder.encode("first")),
          pull: (controller) => controller.error(new Error("a secret")),
        }),
      ),
    async call({ fetch }) {
      const response = await fetch("/");
      const error = (await errorOf(response.text())) as Error;
      checkEqual("the error", [error instanceof Error, error.message.includes("secret")], [true, false]);
    },
  },
  {
    name: "a response whose body fails behind bytes that were read is not taken for whole",
    handle({ path, run }) {
      if (path === "/read") {
        happening(run, "read").resolve("");
        return new Response("");
      }
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(encoder.encode("first")),
        async pull(controller) {
          await happening(run, "read").promise;
          controller.error(new Error("no"));
        },
      });
      return new Response(body);
    },
    async call({ fetch }) {
      const reader = (await fetch("/")).body?.getReader();
      checkEqual("the first chunk", (await reader?.read())?.done, false);
      await (await fetch("/read")).text();
      checkEqual("the error", (await errorOf(reader?.read() as Promise<unknown>)) instanceof Error, true);
    },
  },
  {
    name: "a response that fails tells where, by a typed error",
    needs: ["failures"],
    handle: () => new Response(new ReadableStream({ pull: (controller) => controller.error(new Error("no")) })),
    async call({ fetch }) {
      const error = (await errorOf((await fetch("/")).text())) as { code: Code; hop: Hop };
      checkEqual("the error", [Code[error.code], Hop[error.hop]], ["Internal", "PEER"]);
    },
  },
  {
    name: "a request whose body fails rejects with its reason, and fails at the handler",
    handle: async ({ request, path, run }) => {
      if (path === "/end") return whatHappened(run);
      if (path === "/begun") return happening(run, "begun").promise.then(() => new Response(""));
      happening(run, "begun").resolve("");
      const error = await errorOf(request.text());
      happening(run, "end").resolve(error === undefined ? "read" : "failed");
      return new Response("");
    },
    async call({ fetch }) {
      const reason = new Error("my own");
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(encoder.encode("first")),
        async pull(controller) {
          // A client may send nothing of a request whose body has failed by then.
          await (await fetch("/begun")).text();
          controller.error(reason);
        },
      });
      const error = await errorOf(fetch("/", { method: "POST", body, duplex: "half" } as RequestInit));
      checkEqual("the reason", error === reason || (error as Error).cause === reason, true);
      checkEqual("the body", await toldBy(fetch), "failed");
    },
  },
  {
    name: "a handler that reads its request after its response has ended fails there",
    needs: ["duplex"],
    handle({ request, path, run }) {
      if (path === "/end") return whatHappened(run);
      const reading = errorOf(request.text());
      void reading.then((error) => happening(run, "end").resolve(error === undefined ? "read" : "failed"));
      return new Response("early");
    },
    async call({ fetch }) {
      let isCanceled = false;
      const body = new ReadableStream({
        cancel() {
          isCanceled = true;
        },
      });
      const response = await fetch("/", { method: "POST", body, duplex: "half" } as RequestInit);
      checkEqual("the answer", await response.text(), "early");
      checkEqual("the request was", await toldBy(fetch), "failed");
      checkEqual("its body was canceled", isCanceled, true);
    },
  },
  {
    name: "a handler that throws is answered with 500, and tells nothing of why",
    handle({ path }) {
      if (path === "/later") return Promise.reject(new Error("a secret"));
      throw new Error("a secret");
    },
    async call({ fetch }) {
      for (const path of ["/", "/later"]) {
        const response = await fetch(path);
        checkEqual("the answer", [response.status, (await response.text()).includes("secret")], [500, false]);
      }
    },
  },
  {
    name: "a handler that returns no response is answered with 500",
    handle: ({ path }) => {
      const read = new Response("read");
      void read.text();
      const answers: Record<string, unknown> = { "/text": "no response", "/read": read, "/error": Response.error() };
      return answers[path] as Response;
    },
    async call({ fetch }) {
      for (const path of ["/", "/text", "/read", "/error"]) checkEqual(path, (await fetch(path)).status, 500);
    },
  },
  {
    name: "a handler that never answers is answered with 504, and its request is aborted",
    server: "impatient",
    handle({ request, path, run }) {
      if (path === "/end") return whatHappened(run);
      noteAbort(request, run);
      return new Promise(() => {});
    },
    async call({ fetch }) {
      checkEqual("the status", (await fetch("/")).status, 504);
      checkEqual("the request was", await toldBy(fetch), "aborted");
    },
  },
  {
    name: "an answer that comes after its handler was given up is canceled",
    server: "impatient",
    handle({ request, path, run }) {
      if (path === "/end") return whatHappened(run);
      return new Promise((resolve) =>
        request.signal.addEventListener("abort", () => resolve(new Response(openBody(run)))),
      );
    },
    async call({ fetch }) {
      checkEqual("the status", (await fetch("/")).status, 504);
      checkEqual("the body was", await toldBy(fetch), "canceled");
    },
  },
  {
    name: "a response longer or shorter than its Content-Length fails, and the next does not",
    handle: ({ path }) =>
      new Response(openChunks(wrongLengths[path as keyof typeof wrongLengths]), {
        headers: { "content-length": "10" },
      }),
    async call({ fetch }) {
      for (const path of Object.keys(wrongLengths)) {
        const error = await errorOf(fetch(path).then((response) => response.text()));
        checkEqual(`${path} failed`, error instanceof Error, true);
      }
    },
  },
  {
    name: "a response with a Content-Length that is no length fails, and its body is canceled",
    handle: ({ path, run }) =>
      path === "/end" ? whatHappened(run) : new Response(openBody(run), { headers: { "content-length": "ten" } }),
    async call({ fetch }) {
      const error = await errorOf(fetch("/").then((response) => response.text()));
      checkEqual("the error", error instanceof Error, true);
      checkEqual("the body was", await toldBy(fetch), "canceled");
    },
  },
  {
    name: "a request longer or shorter than its Content-Length fails at the handler, and the next does not",
    needs: ["any head", "wrong lengths"],
    async handle({ request, path, run }) {
      if (path === "/end") return whatHappened(run);
      const error = await errorOf(request.text());
      happening(run, "end").resolve(error === undefined ? "read" : "failed");
      return new Response("");
    },
    async call({ fetch, run }) {
      for (const [path, sizes] of Object.entries(wrongLengths)) {
        const headers = { "content-length": "10" };
        const init = { method: "POST", body: openChunks(sizes), headers, duplex: "half" };
        const error = await errorOf(fetch("/", init as RequestInit).then((response) => response.text()));
        checkEqual(`${path} failed in ${run}`, error instanceof Error, true);
        checkEqual("the handler", await toldBy(fetch), "failed");
      }
    },
  },
  {
    name: "a request with a head of 100 KB is refused, and the next is not",
    needs: ["failures"],
    handle: () => new Response("served"),
    async call({ fetch }) {
      const headers = { "x-long": "x".repeat(100_000) };
      await checkRejects("a long head", fetch("/", { headers }), { failure: Failure.FRAME_TOO_LARGE });
      checkEqual("the next", await (await fetch("/")).text(), "served");
    },
  },
  {
    name: "calls that HTTP does not know are refused before they are made",
    needs: ["failures"],
    handle: () => new Response(""),
    async call({ fetch }) {
      const code = Code.InvalidArgument;
      await checkRejects("CONNECT", fetch("/", { method: "connect" }), { code });
      await checkRejects("a method with a space", fetch("/", { method: "G ET" }), { code });
      await checkRejects("a GET with a body", fetch("/", { body: "a" }), { code });
    },
  },
];

/** Chunks of so many bytes, each of which comes when it is asked for. */
function openChunks(sizes: readonly number[]): ReadableStream<Uint8Array<ArrayBuffer>> {
  const left = [...sizes];
  return new ReadableStream({
    pull(controller) {
      const bytes = left.shift();
      if (bytes === undefined) return controller.close();
      controller.enqueue(encoder.encode("x".repeat(bytes)));
    },
  });
}

const nine = Array.from({ length: 9 }, () => 1);
/**
 * Bodies whose Content-Length is 10. The tenth byte comes with the eleventh: a client of HTTP/1.1 that has ten takes
 * the body for whole, and looks at nothing behind it.
 */
const wrongLengths = { "/short": nine, "/long": [...nine, 2] };
