import type { IncomingHttpHeaders } from "node:http";
import { type HttpHandler, type HttpServer, serve } from "browser-stream-server/http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { exchange, head } from "./raw-http.js";

/** Headers of an answer that would act on others than the listener, each with what it has to do. */
const never = {
  "strict-transport-security": "max-age=31536000; includeSubDomains",
  "alt-svc": 'h3=":443"',
  nel: '{"report_to":"a","max_age":31536000,"include_subdomains":true}',
  "report-to": '{"group":"a","max_age":31536000,"endpoints":[{"url":"https://a.example"}]}',
  "clear-site-data": '"*"',
  "proxy-authenticate": "Basic",
  "stream-error": "failure=draining",
  "x-accel-redirect": "/internal",
  "x-sendfile": "/etc/passwd",
};
const neverByPath = {
  "set-cookie": "a=1; Path=/",
  "service-worker-allowed": "/",
  "www-authenticate": 'Basic realm="relay"',
  "set-login": "logged-in",
  "accept-ch": "Sec-CH-UA",
};
const always = { etag: '"1"', refresh: "5", link: "</a>; rel=preload", "access-control-allow-origin": "*", vary: "a" };

const handler: HttpHandler = (request) => {
  if (new URL(request.url).pathname === "/request") return Response.json(Object.fromEntries(request.headers));
  const headers = new Headers({ ...never, ...neverByPath, ...always, "content-security-policy": "default-src 'self'" });
  for (const domain of ["relay.example", ".relay.example", "A.Relay.Example", " a.relay.example "]) {
    headers.append("set-cookie", `b=1; Path=/; DOMAIN=${domain}`);
  }
  return Object.defineProperty(new Response("whole"), "headers", { value: headers });
};

async function answered(relay: TestRelay, target: string, host?: string, headers?: readonly string[]) {
  const { text } = await exchange(relay.origin, head("GET", target, headers, host));
  const lines = text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n").slice(1);
  const named = lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.replace(/^[^:]*: /, "")]);
  const of = (name: string) => named.filter(([each]) => each === name).map(([, value]) => value);
  return { of, text };
}

async function seen(relay: TestRelay, target: string, host: string, headers: string[]): Promise<IncomingHttpHeaders> {
  const { text } = await answered(relay, target, host, headers);
  return JSON.parse(/\{.*\}/.exec(text)?.[0] ?? "");
}

describe.each([
  { by: "path", target: "/~/a", host: "relay.example", options: { by: "path" } as const },
  { by: "host", target: "", host: "a.relay.example", options: { by: "host", host: "relay.example" } as const },
])("the gateway by $by", ({ by, target, host, options }) => {
  let relay: TestRelay;
  let server: HttpServer;

  beforeAll(async () => {
    relay = await openRelay({ gateway: options });
    server = serve(relay.origin, "a", handler);
    await server.ready;
  });

  afterAll(async () => {
    await server?.end();
    await holdsNothing(relay, "links");
    await relay?.close();
  });

  test("passes headers of an answer on but for those that act on others", async () => {
    const { of } = await answered(relay, `${target}/`, host);
    for (const [name, value] of Object.entries(always)) expect([name, of(name)]).toEqual([name, [value]]);
    for (const name of Object.keys(never)) expect([name, of(name)]).toEqual([name, []]);
    for (const [name, value] of Object.entries(neverByPath).filter(([each]) => each !== "set-cookie")) {
      expect([name, of(name)]).toEqual([name, by === "path" ? [] : [value]]);
    }
    const own = ["a=1; Path=/", "b=1; Path=/; DOMAIN=A.Relay.Example", "b=1; Path=/; DOMAIN= a.relay.example"];
    expect(of("set-cookie")).toEqual(by === "path" ? [] : own);
    expect(of("content-security-policy")).toEqual([...(by === "path" ? ["sandbox"] : []), "default-src 'self'"]);
  });

  test("passes headers of a request on but for those of the connection, and its own", async () => {
    const headers = await seen(relay, `${target}/request`, host, [
      "Cookie: a=1",
      "Authorization: Bearer mine",
      "Proxy-Authorization: Bearer relay",
      "Forwarded: for=1.2.3.4",
      "X-Forwarded-Prefix: /evil",
      "X-Forwarded-For: 1.2.3.4",
      "X_Forwarded_For: 1.2.3.4",
      "x-forwarded_for: 1.2.3.4",
      "X-Kept: 1",
      "X-Kept: 2",
      "TE: trailers",
    ]);
    expect(headers).toMatchObject({ authorization: "Bearer mine", "x-kept": "1, 2", host });
    expect(headers.cookie).toBe(by === "path" ? undefined : "a=1");
    expect(headers["x-forwarded-prefix"]).toBe(by === "path" ? "/~/a" : undefined);
    for (const name of ["proxy-authorization", "x-forwarded-for", "te", "connection"]) {
      expect(headers).not.toHaveProperty(name);
    }
    expect(JSON.stringify(headers)).not.toContain("1.2.3.4");
  });

  test("serves the script of a service worker only where the origin is the listener's own", async () => {
    const { text } = await answered(relay, `${target}/`, host, ["Service-Worker: script"]);
    expect(text.includes("whole")).toBe(by === "host");
  });
});

describe("Cache-Control behind a policy", () => {
  const forEverybody = {
    "cache-control": 'Public, max-age=60, s-maxage=600, no-cache="set-cookie, x-a"',
    "cdn-cache-control": "max-age=600",
    "surrogate-control": "max-age=600",
  };
  let relay: TestRelay;
  let server: HttpServer;

  beforeAll(async () => {
    relay = await openRelay({
      gateway: { by: "path" },
      authorize: ({ token }) => (token === "" ? {} : { subject: token }),
    });
    const bare: HttpHandler = ({ url }) => new Response("", url.endsWith("/bare") ? {} : { headers: forEverybody });
    server = serve(relay.origin, "a", bare);
    await server.ready;
  });

  afterAll(async () => {
    await server?.end();
    await holdsNothing(relay, "links");
    await relay?.close();
  });

  test.each(["Authorization", "Proxy-Authorization"])("keeps an answer to %s from shared caches", async (name) => {
    const ann = [`${name}: Bearer ann`];
    const { of } = await answered(relay, "/~/a/", undefined, ann);
    expect(of("cache-control")).toEqual(['private, max-age=60, no-cache="set-cookie, x-a"']);
    expect([...of("cdn-cache-control"), ...of("surrogate-control")]).toEqual([]);
    expect((await answered(relay, "/~/a/bare", undefined, ann)).of("cache-control")).toEqual(["private"]);
  });

  test("is the listener's own where nobody was let in by a token", async () => {
    const { of } = await answered(relay, "/~/a/");
    for (const [name, value] of Object.entries(forEverybody)) expect(of(name)).toEqual([value]);
  });
});
