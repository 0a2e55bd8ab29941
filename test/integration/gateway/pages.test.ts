import { Code, StreamError } from "browser-stream-server";
import { serve } from "browser-stream-server/http";
import type { RelayWarning, StreamServerProxyOptions } from "browser-stream-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";
import { openHttp2Fetch } from "./http2-fetch.js";
import { exchange, head } from "./raw-http.js";

const app = "https://app.example";
const stranger = "https://stranger.example";
/** The tokens about which the policy was asked. */
const asked: string[] = [];
/** Lets nobody in without a token. */
const policy: StreamServerProxyOptions = {
  authorize({ action, token }) {
    if (action === "connect") asked.push(token);
    if (action === "connect" && token !== "good") throw new StreamError("who?", { code: Code.Unauthenticated });
    return {};
  },
};

const warnings: RelayWarning[] = [];
let relay: TestRelay;
let server: ReturnType<typeof serve> | undefined;
/** The requests that came to the listener. */
const came: string[] = [];

async function opened(options: StreamServerProxyOptions = {}): Promise<void> {
  relay = await openRelay({ gateway: { by: "path" }, origins: [app], ...options });
  relay.proxy.on("warning", (warning) => warnings.push(warning));
  server = serve(relay.origin, "a", (request) => {
    came.push(request.method);
    return new Response("answered", { headers: { "access-control-allow-origin": "https://listeners.example" } });
  });
  await server.ready;
}
afterEach(async () => {
  for (const seen of [came, warnings, asked]) seen.splice(0);
  await server?.end();
  await holdsNothing(relay, "links");
  await relay.close();
});

const preflight = (target: string, origin: string) =>
  send("OPTIONS", target, origin, [
    "Access-Control-Request-Method: DELETE",
    "Access-Control-Request-Headers: authorization,x-own",
  ]);

/** Resolves with the status, and with the headers by which a browser decides what a page may do. */
async function send(method: string, target: string, origin: string, headers: readonly string[] = []) {
  const { statuses, text } = await exchange(relay.origin, head(method, target, [`Origin: ${origin}`, ...headers]));
  const fields = text
    .slice(0, text.indexOf("\r\n\r\n"))
    .split("\r\n")
    .map((line) => line.split(": ", 2))
    .map(([name = "", value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => name.startsWith("access-control-") || name === "vary");
  return { status: statuses[0], ...Object.fromEntries(fields) };
}

const isReadable = {
  "access-control-allow-origin": app,
  "access-control-expose-headers": "stream-error,retry-after",
  vary: expect.stringContaining("Origin"),
};
const isAllowed = {
  status: 204,
  ...isReadable,
  "access-control-allow-methods": "DELETE",
  "access-control-allow-headers": "authorization,x-own",
};

describe("a page of an allowed origin", () => {
  test("has its preflight allowed behind a policy, although a preflight carries no token", async () => {
    await opened(policy);
    // Calls with cookies are not allowed, and no time is told for which the answer is remembered.
    expect(await preflight("/~/a/", app)).toEqual(isAllowed);
    expect([came, asked]).toEqual([[], []]);
    expect(await send("DELETE", "/~/a/", app)).toEqual({ status: 401, ...isReadable });
    expect(await send("DELETE", "/~/a/", app, ["Authorization: Bearer good"])).toMatchObject({ status: 200 });
  });

  test("has its preflight allowed, and reads failures, over HTTP/2 as well", async () => {
    await opened(policy);
    const { fetch, close } = openHttp2Fetch(relay.origin);
    const ask = { origin: app, "access-control-request-method": "DELETE" };
    const asked = await fetch(`${relay.origin}/~/a/`, { method: "OPTIONS", headers: ask });
    const refused = await fetch(`${relay.origin}/~/a/`, { method: "DELETE", headers: { origin: app } });
    const allowed = [asked, refused].map(({ status, headers }) => [status, headers.get("access-control-allow-origin")]);
    expect(allowed).toEqual([
      [204, app],
      [401, app],
    ]);
    await close();
  });

  test("is told that nobody listens, and why a URL is none", async () => {
    await opened();
    expect(await preflight("/~/nobody/", app)).toEqual(isAllowed);
    expect(await send("DELETE", "/~/nobody/", app)).toEqual({ status: 503, ...isReadable });
    expect(await preflight("/~/a/../b", app)).toEqual(isAllowed);
    expect(await send("DELETE", "/~/a/../b", app)).toEqual({ status: 400, ...isReadable });
  });

  test("is any page where all origins are allowed", async () => {
    await opened({ ...policy, origins: "*" });
    const all = { ...isAllowed, "access-control-allow-origin": "*", vary: "Access-Control-Request-Headers" };
    expect(await preflight("/~/a/", stranger)).toEqual(all);
  });
});

test("a page of another origin has its preflight refused by the gateway, and reads none of its answers", async () => {
  await opened(policy);
  expect(await preflight("/~/a/", stranger)).not.toHaveProperty("access-control-allow-origin");
  expect(await send("DELETE", "/~/a/", stranger)).toMatchObject({ status: 401 });
  expect(await send("DELETE", "/~/a/", stranger)).not.toHaveProperty("access-control-allow-origin");
  expect(came).toEqual([]);
  await until(() => warnings.some(({ kind }) => kind === "origin-refused"));
});

test("a listener without a policy decides by itself which pages may call, and read its answers", async () => {
  await opened();
  const own = { status: 200, "access-control-allow-origin": "https://listeners.example" };
  for (const origin of [app, stranger]) expect(await preflight("/~/a/", origin)).toEqual(own);
  expect(await send("DELETE", "/~/a/", app)).toEqual(own);
  expect(came).toEqual(["OPTIONS", "OPTIONS", "DELETE"]);
});
