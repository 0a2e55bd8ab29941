import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { Condition, Deferred } from "../../../stream/platform/deferred.js";

const headEnd = Buffer.from("\r\n\r\n");

/** Something like `fetch` whose calls are runs of `curl`, each over a connection of HTTP/1.1 of its own. */
export interface CurlFetch {
  fetch(input: string | Request, init?: RequestInit): Promise<Response>;
  /** Ends the runs whose answers were not read to their end. */
  close(): void;
}

export function openCurlFetch(): CurlFetch {
  /** Runs that have not ended. One whose output nobody reads does not end by itself. */
  const runs = new Set<CurlRun>();
  return {
    fetch: (input, init) => callBy(runs, input, init),
    close() {
      for (const run of runs) run.stop(new Error("the tests are over"));
    },
  };
}

async function callBy(runs: Set<CurlRun>, input: string | Request, init: RequestInit = {}): Promise<Response> {
  const given = typeof input === "string" ? undefined : input;
  const signal = init.signal ?? given?.signal;
  signal?.throwIfAborted();
  const method = init.method ?? given?.method ?? "GET";
  const content = init.body === undefined || init.body === null ? given : new Response(init.body);
  const headers = new Headers(init.headers ?? given?.headers);
  const type = content?.headers.get("content-type");
  if (type && !headers.has("content-type")) headers.set("content-type", type);
  const hasBody = Boolean(content?.body) || /^(POST|PUT|PATCH)$/.test(method);
  // A stream is sent in chunks as it comes; another body is read whole, and sent with its length.
  const body = init.body instanceof ReadableStream ? ["--upload-file", "-"] : ["--data-binary", "@-"];
  const folder = await mkdtemp(join(tmpdir(), "curl-fetch-"));
  const config = join(folder, "config");
  // Arguments are UTF-8, and headers need not be.
  await writeFile(config, headerOptions(headers), "latin1");
  const args = [
    ...["--silent", "--no-buffer", "--http1.1", "--path-as-is", "--globoff", "--noproxy", "*"],
    // Unlike "--include", it shows a head before the body begins.
    ...["--dump-header", "-"],
    ...["--config", config],
    ...(method === "HEAD" ? ["--head", "--output", "/dev/null"] : ["--request", method]),
    ...(hasBody ? body : []),
    given?.url ?? String(input),
  ];
  const child = spawn("curl", args, { stdio: ["pipe", "pipe", "ignore"] });
  const { stdin } = child;
  const run = new CurlRun(child);
  runs.add(run);
  const onAbort = () => run.stop(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  child.once("close", () => {
    runs.delete(run);
    signal?.removeEventListener("abort", onAbort);
    void rm(folder, { recursive: true });
  });
  // The signal may have been aborted meanwhile.
  if (signal?.aborted) onAbort();
  stdin.on("error", () => {});
  void send(content?.body ?? [], stdin).catch((reason: unknown) => run.stop(reason));
  return run.answer(method);
}

/** Writes a body to curl, as far as it reads. Rejects with what the body fails with, before curl takes it for whole. */
async function send(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, stdin: Writable): Promise<void> {
  for await (const chunk of body) {
    if (stdin.destroyed) return;
    if (!stdin.write(chunk)) await Promise.race(["drain", "close"].map((event) => once(stdin, event)));
  }
  stdin.end();
}

/** The headers as options of curl, which adds a Content-Type by itself unless it is told not to. */
function headerOptions(headers: Headers): string {
  const given = [...headers].map(([name, value]) => (value === "" ? `${name};` : `${name}: ${value}`));
  const all = headers.has("content-type") ? given : [...given, "content-type:"];
  return all.map((header) => `header = "${header.replaceAll(/["\\]/g, "\\$&")}"\n`).join("");
}

class CurlRun {
  readonly #child: ChildProcess;
  readonly #output: Readable;
  readonly #exited = new Deferred<void>();
  readonly #changed = new Condition();
  #read = Buffer.alloc(0);

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#output = child.stdout as Readable;
    // Without a listener for "readable", Node drops what is unread when a program ends.
    for (const event of ["readable", "end", "close"]) this.#output.on(event, () => this.#changed.notify());
    child.once("close", (code) => {
      if (code === 0) this.#exited.resolve();
      else this.#exited.reject(new Error(`curl ended with ${code}`));
    });
    this.#exited.promise.catch(() => {});
  }

  /** Ends the run. Its readers get the reason. */
  stop(reason: unknown): void {
    this.#exited.reject(reason);
    this.#child.kill();
    this.#child.stdin?.destroy();
    this.#output.destroy();
  }

  /** Resolves with the answer as soon as its head is there. */
  async answer(method: string): Promise<Response> {
    const { status, headers } = await this.#head();
    const isEmpty = method === "HEAD" || [204, 205, 304].includes(status);
    if (isEmpty) void this.#next().catch(() => {});
    const response = new Response(isEmpty ? null : this.#body(), { status });
    const clone = response.clone.bind(response);
    const withHeaders = (made: Response): Response => Object.defineProperty(made, "headers", { value: headers });
    withHeaders(response).clone = () => withHeaders(clone());
    return response;
  }

  async #head(): Promise<{ status: number; headers: Headers }> {
    for (;;) {
      const end = this.#read.indexOf(headEnd);
      if (end < 0) {
        const chunk = await this.#next();
        if (chunk === undefined) throw new Error("curl has shown no answer");
        this.#read = Buffer.concat([this.#read, chunk]);
        continue;
      }
      const [statusLine = "", ...fields] = this.#read.subarray(0, end).toString("latin1").split("\r\n");
      this.#read = this.#read.subarray(end + headEnd.byteLength);
      const status = Number(statusLine.split(" ")[1]);
      // 100 Continue comes before the answer.
      if (status < 200) continue;
      const headers = new Headers();
      for (const field of fields) {
        const at = field.indexOf(":");
        headers.append(field.slice(0, at), field.slice(at + 1).trim());
      }
      return { status, headers };
    }
  }

  #body(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream(
      {
        pull: async (controller) => {
          const chunk = this.#read.byteLength > 0 ? this.#read : await this.#next();
          this.#read = Buffer.alloc(0);
          if (chunk === undefined) controller.close();
          else controller.enqueue(Uint8Array.from(chunk));
        },
        cancel: (reason) => this.stop(reason),
      },
      { highWaterMark: 0 },
    );
  }

  /** The next bytes of the output; undefined after the last, if curl has ended well. */
  async #next(): Promise<Buffer | undefined> {
    for (;;) {
      const chunk = this.#output.read() as Buffer | null;
      if (chunk !== null) return chunk;
      if (this.#output.readableEnded || this.#output.destroyed) {
        await this.#exited.promise;
        return undefined;
      }
      await this.#changed.changed();
    }
  }
}
