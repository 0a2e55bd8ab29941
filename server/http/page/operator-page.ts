import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { NodeRequest, NodeResponse } from "../node-server.js";

const style = `
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .5rem; }
h2 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
form { display: flex; flex-wrap: wrap; gap: .5rem; }
input { font: inherit; padding: .3rem; min-width: 16rem; }
::placeholder { color: inherit; opacity: .75; }
button { font: inherit; white-space: nowrap; }
section { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; min-width: 64rem; }
th, td { padding: .25rem .8rem .25rem 0; text-align: start; vertical-align: top; border-bottom: 1px solid #8886; }
th { font-weight: normal; white-space: nowrap; }
td { unicode-bidi: isolate; overflow-wrap: anywhere; min-width: 4ch; }
section:first-of-type td:first-child { color: light-dark(#b00020, #ff8a80); font-weight: bold; }
`;

const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Relay</title>
<link rel="icon" href="data:,">
<style>${style}</style>
<body>
<noscript>This page needs JavaScript.</noscript>
<script type="module" src="admin/operator-page.js"></script>
`;

const styleHash = createHash("sha256").update(style).digest("base64");
const headers: Readonly<Record<string, string>> = {
  // The page holds the token of an operator: nothing but its own script runs in it, and no other page has it in a
  // frame.
  "content-security-policy":
    `default-src 'none'; script-src 'self'; style-src 'sha256-${styleHash}'; connect-src 'self'; img-src data:; ` +
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cache-control": "no-cache",
};

/** The page's script, and the modules that it imports. */
const scripts = ["operator-page.js", "report-table.js", "report-words.js", "amounts.js", "visible-text.js"];

/** Serves the operator's page beside the RPCs of a relay: `/admin` under its prefix, and the page's scripts. */
export class OperatorPage {
  /** The names of scripts by their paths. The page itself has none. */
  readonly #names = new Map<string, string | undefined>();

  /** The page is under each prefix. The empty one counts only if there is no other, as for the client's files. */
  constructor(prefixes: readonly string[]) {
    const paths = prefixes.filter((prefix) => prefix !== "");
    for (const prefix of paths.length > 0 ? paths : prefixes) {
      this.#names.set(`${prefix}/admin`, undefined);
      for (const name of scripts) this.#names.set(`${prefix}/admin/${name}`, name);
    }
  }

  /** Whether `path`, without a query, is that of the page or of a script. */
  serves(path: string): boolean {
    return this.#names.has(path);
  }

  /** Answers a request for a path for which {@link serves} is true. Never rejects. */
  async handle(path: string, request: NodeRequest, response: NodeResponse): Promise<void> {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return end(response, 405);
    }
    const name = this.#names.get(path);
    if (name === undefined) return end(response, 200, html, "text/html");
    const script = await readScript(name).catch(() => undefined);
    if (script !== undefined) return end(response, 200, script, "text/javascript");
    end(response, 404, "This relay was installed or bundled without the operator's page.\n");
  }
}

/** A few kilobytes, which the system keeps in memory, for a page that an operator opens now and then. */
function readScript(name: string): Promise<string> {
  // The package's own name leads to the build from the source too, and from a program that was bundled.
  const client = createRequire(import.meta.url).resolve("browser-stream-server/client.js");
  return readFile(join(dirname(client), "web/operator", name), "utf8");
}

/** Node itself leaves the body out of an answer to HEAD. */
function end(response: NodeResponse, status: number, body = "", type = "text/plain"): void {
  response.statusCode = status;
  response.setHeader("content-type", `${type}; charset=utf-8`);
  response.end(body);
}
