import type { HttpHandler } from "browser-stream-server/http";
import { createFetch, serve } from "browser-stream-server/http";
import { bodyCases } from "./body-cases.js";
import { endingCases } from "./ending-cases.js";
import { headCases } from "./head-cases.js";
import type { HttpCase, Need } from "./http-case.js";

// A page imports the package's `./http` from the bundle of this module.
export { createFetch, serve } from "browser-stream-server/http";

/** All promises of HTTP over a stream, as cases. None of them needs Node, a page or a test runner. */
export const httpContract: readonly HttpCase[] = [...headCases, ...bodyCases, ...endingCases];

/** A case ends within this time, or fails. */
const deadlineMs = 20_000;
/** The impatient server gives a handler this long. No handler that answers is asked there. */
const shortTimeoutMs = 200;

let runs = 0;

/** The name under which a case is served, which is one label of a host. */
export function nameOf({ server }: HttpCase, name: string): string {
  return server === undefined ? name : `${name}-${server}`;
}

/**
 * Serves all cases: a path begins with the number of a case and with the word of a run. Resolves when it can be called.
 */
export async function serveContract(relayUrl: string, name: string): Promise<{ end(): Promise<unknown> }> {
  const handler: HttpHandler = (request, info) => {
    const [, at, run = "", path = ""] = /^https?:\/\/[^/]+\/(\d+)\/([^/]+)(\/[^?]*)/.exec(request.url) ?? [];
    const served = httpContract[Number(at)];
    return served === undefined ? new Response(null, { status: 404 }) : served.handle({ request, info, path, run });
  };
  const onError = () => {};
  const servers = [
    serve(relayUrl, name, handler, { onError }),
    serve(relayUrl, `${name}-impatient`, handler, { onError, headTimeoutMs: shortTimeoutMs }),
  ];
  await Promise.all(servers.map(({ ready }) => ready));
  return { end: () => Promise.all(servers.map((server) => server.end())) };
}

/** The bytes of a body that endpoints, link and relay hold which nobody reads. */
const unreadBytesOfStream = 4_194_304;

/**
 * Plays the caller's part of a case over any `fetch`. Rejects with what the case did not keep. `heldBytes` are those
 * that the way of the fetch holds beside a stream.
 */
export async function callCase(
  httpCase: HttpCase,
  fetch: (input: string | Request, init?: RequestInit) => Promise<Response>,
  baseUrl = "http://localhost",
  heldBytes = 0,
): Promise<void> {
  runs += 1;
  const run = `${Math.random().toString(36).slice(2)}${runs}`;
  const url = (path: string) => `${baseUrl}/${httpContract.indexOf(httpCase)}/${run}${path}`;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${deadlineMs} ms`)), deadlineMs);
  });
  const call = httpCase.call({
    run,
    url,
    maxUnreadBytes: unreadBytesOfStream + heldBytes,
    fetch: (input, init) => fetch(typeof input === "string" ? url(input) : input, init),
  });
  try {
    await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Plays the caller's part of a case with a `fetch` of its own. Rejects with what the case did not keep. */
export async function callOver(httpCase: HttpCase, relayUrl: string, name: string): Promise<void> {
  const fetch = createFetch(relayUrl, nameOf(httpCase, name));
  try {
    await callCase(httpCase, fetch);
  } finally {
    await fetch.close();
  }
}

/** Plays the caller's part of a case by name: the outcome as a text, which is empty if the case was kept. */
export async function callByName(caseName: string, relayUrl: string, name: string): Promise<string> {
  const httpCase = httpContract.find((each) => each.name === caseName);
  if (httpCase === undefined) return "the contract has no such case";
  return callOver(httpCase, relayUrl, name).then(
    () => "",
    (reason: unknown) => (reason instanceof Error ? reason.message : String(reason)),
  );
}

/** Whether a way to a server has all that a case needs. */
export function isPlayable({ needs = [] }: HttpCase, has: readonly Need[]): boolean {
  return needs.every((need) => has.includes(need));
}
