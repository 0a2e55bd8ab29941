import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { NodeRequest, NodeResponse } from "../node-server.js";

/** The client for pages without a bundler, and its types. */
const contentTypes = {
  "client.js": "text/javascript; charset=utf-8",
  "client.d.ts": "text/plain; charset=utf-8",
} as const;

type FileName = keyof typeof contentTypes;

interface ClientFile {
  etag: string;
  plain: Uint8Array;
  gzipped: Uint8Array;
}

/** An `Accept-Encoding` that names gzip, and not with a weight of zero. */
const acceptsGzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i;

/** Serves `client.js` and `client.d.ts`, as the package's build left them, beside the RPCs of a relay. */
export class ClientFiles {
  readonly #names = new Map<string, FileName>();
  /** Read at the first request, and kept: two files of 200 kB at most. */
  readonly #files = new Map<FileName, Promise<ClientFile>>();

  /**
   * The files are under each prefix. The empty one counts only if there is no other, because a server whose relay has
   * the root beside a path, for gRPC, may have a `/client.js` of its own.
   */
  constructor(prefixes: readonly string[]) {
    const paths = prefixes.filter((prefix) => prefix !== "");
    for (const prefix of paths.length > 0 ? paths : prefixes) {
      for (const name of Object.keys(contentTypes) as FileName[]) this.#names.set(`${prefix}/${name}`, name);
    }
  }

  /** Whether `path`, without a query, is that of a file. */
  serves(path: string): boolean {
    return this.#names.has(path);
  }

  /** Answers a request for a path for which {@link serves} is true. Never rejects. */
  async handle(path: string, request: NodeRequest, response: NodeResponse): Promise<void> {
    const name = this.#names.get(path) as FileName;
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return end(response, 405);
    }
    const file = await this.#read(name).catch(() => undefined);
    if (file === undefined) {
      response.setHeader("content-type", "text/plain; charset=utf-8");
      return end(response, 404, `This relay was installed or bundled without ${name}.\n`);
    }
    response.appendHeader("vary", "accept-encoding");
    response.setHeader("etag", file.etag);
    // The URL tells no version, so a browser asks each time, and a client is always as new as its relay.
    response.setHeader("cache-control", "no-cache");
    if (isCurrent(request, file.etag)) return end(response, 304);
    response.setHeader("content-type", contentTypes[name]);
    response.setHeader("x-content-type-options", "nosniff");
    // Deno, and editors that work as it does, look here for the types of a module.
    if (name === "client.js") response.setHeader("x-typescript-types", "./client.d.ts");
    const zips = acceptsGzip.test(String(request.headers["accept-encoding"] ?? ""));
    if (zips) response.setHeader("content-encoding", "gzip");
    const body = zips ? file.gzipped : file.plain;
    response.setHeader("content-length", body.byteLength);
    // Node itself leaves the body out of an answer to HEAD.
    end(response, 200, body);
  }

  #read(name: FileName): Promise<ClientFile> {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const reading = readClientFile(name);
    this.#files.set(name, reading);
    // A file that is not there yet, as while the package is built, is looked for again.
    reading.catch(() => this.#files.delete(name));
    return reading;
  }
}

async function readClientFile(name: FileName): Promise<ClientFile> {
  // The package's own name leads to the build from the source too, and from a program that was bundled.
  const script = createRequire(import.meta.url).resolve("browser-stream-server/client.js");
  const plain = await readFile(script.replace(/client\.js$/, name));
  const gzipped = await promisify(gzip)(plain, { level: 9 });
  const hash = createHash("sha256").update(plain).digest("base64url").slice(0, 22);
  // The tag is weak, because it stands for both encodings.
  return { etag: `W/"${hash}"`, plain, gzipped };
}

function end(response: NodeResponse, status: number, body: string | Uint8Array = ""): void {
  response.statusCode = status;
  response.end(body);
}

/** Whether the browser has the file as it is. */
function isCurrent(request: NodeRequest, etag: string): boolean {
  const known = String(request.headers["if-none-match"] ?? "").split(",");
  return known.some((each) => each.trim() === etag || each.trim() === "*");
}
