import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect, constants } from "node:http2";
import { json } from "node:stream/consumers";
import { Code, StreamError, StreamServer } from "browser-stream-server";
import { type HttpHandler, serve, withTrailers } from "browser-stream-server/http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

let relay: TestRelay;
const ends: (() => Promise<unknown>)[] = [];

async function opened(options: Parameters<typeof openRelay>[0]): Promise<void> {
  relay = await openRelay(options);
}

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await holdsNothing(relay, "links");
  await relay.close();
});

async function serving(name: string, handler: HttpHandler, token?: string): Promise<void> {
  const server = serve(relay.origin, name, handler, { token });
  ends.push(() => server.end());
  await server.ready;
}

interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  text: string;
}

/** Asks with a target and headers as they are, which `fetch` does not let through. */
function ask(target: string, headers: Record<string, string> = {}): Promise<Answer> {
  const { port } = new URL(relay.origin);
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, path: target, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end();
  });
}

const seen: HttpHandler = (request) =>
  Response.json({ url: request.url, headers: Object.fromEntries(request.headers) });

describe("the gateway by path", () => {
  beforeEach(() => opened({ gateway: { by: "path" } }));

  test("brings a request to the listener, with the URL that it has below the name, and the answer back sandboxed", async () => {
    await serving("a/é", seen);
    const response = await fetch(`${relay.origin}/~/a%2F%C3%A9/cells?since=3`, {
      headers: { cookie: "a=1", "x-kept": "1" },
    });
    const { url, headers } = (await response.json()) as { url: string; headers: Record<string, string> };
    expect(url).toBe(`${relay.origin}/cells?since=3`);
    expect(headers).toMatchObject({
      "x-kept": "1",
      host: new URL(relay.origin).host,
      "x-forwarded-prefix": "/~/a%2F%C3%A9",
    });
    expect(headers).not.toHaveProperty("cookie");
    expect(response.headers.get("content-security-policy")).toBe("sandbox");
  });

  test("sends the trailers of an answer without a body before it ends a request of HTTP/2 that is still open", async () => {
    await serving("early", () => withTrailers(new Response(null), { "x-bytes": "0" }));
    const session = connect(relay.origin);
    ends.push(async () => session.destroy());
    const request = session.request({ ":method": "POST", ":path": "/~/early/" });
    request.write("more may come");
    const closed = once(request, "close");
    const [trailers] = (await once(request.resume(), "trailers")) as [Record<string, string>];
    expect(trailers["x-bytes"]).toBe("0");
    await closed;
    expect(request.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
  });

  test("streams bodies both ways at once", async () => {
    await serving("echo", (request) => new Response(request.body));
    let controller!: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({
      start(given) {
        controller = given;
      },
    });
    // Node's fetch sends the head with the first chunk.
    controller.enqueue(new TextEncoder().encode("one"));
    const response = await fetch(`${relay.origin}/~/echo/`, { method: "POST", body, duplex: "half" } as RequestInit);
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    for (const word of ["one", "two"]) {
      if (word === "two") controller.enqueue(new TextEncoder().encode(word));
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(word);
    }
    controller.close();
    expect((await reader.read()).done).toBe(true);
  });

  test("says that nobody listens, for programs and for people", async () => {
    const response = await fetch(`${relay.origin}/~/<b>/`, { headers: { accept: "text/html" } });
    expect([response.status, response.headers.get("stream-error"), response.headers.get("retry-after")]).toEqual([
      503,
      expect.stringMatching(/^failure=no_such_name, hop=relay, code=not_found, id="[\w-]{22}"$/),
      "2",
    ]);
    const page = await response.text();
    expect(page).toContain("&#60;b&#62;");
    expect(page).not.toContain("<b>");
    // Somebody may listen a moment later.
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  test("says so to a client of gRPC in its status and its message, because it shows no others", async () => {
    const headers = { "content-type": "application/grpc+proto" };
    const response = await fetch(`${relay.origin}/~/nobody/echo.v1.EchoService/Unary`, { method: "POST", headers });
    const seen = ["content-type", "grpc-status", "retry-after"].map((name) => response.headers.get(name));
    expect([response.status, ...seen]).toEqual([200, "application/grpc", String(Code.Unavailable), "2"]);
    expect(decodeURI(response.headers.get("grpc-message") ?? "")).toContain("nobody");
    expect(response.headers.get("stream-error")).toMatch(/^failure=no_such_name, hop=relay/);
  });

  test("says that a listener is no HTTP server", async () => {
    const server = StreamServer(relay.origin, (stream) => {
      stream.on("error", () => {});
      stream.end("hello");
    }).listen("raw");
    ends.push(() => server.end());
    await server.ready;
    const response = await fetch(`${relay.origin}/~/raw/`);
    expect([response.status, response.headers.get("stream-error")]).toEqual([
      502,
      "failure=unspecified, hop=peer, code=unimplemented",
    ]);
  });
});

describe("the gateway by host", () => {
  beforeEach(() => opened({ gateway: { by: "host", host: "relay.example" } }));

  test("takes each name for an origin of its own, on which the relay's own paths are not served", async () => {
    await serving("notebook", seen);
    const host = "notebook.relay.example:8080";
    for (const path of ["/cells", "/healthz", "/browser-server/streamserver.v1.RelayService/List"]) {
      const { status, text, headers } = await ask(path, { host, cookie: "a=1; b=2" });
      expect([status, headers["content-security-policy"]]).toEqual([200, undefined]);
      expect(JSON.parse(text)).toMatchObject({ url: `http://${host}${path}`, headers: { cookie: "a=1; b=2" } });
    }
    expect((await ask("/healthz", { host: "relay.example" })).text).toBe("alive\n");
    expect((await ask("/cells", { host: "relay.example" })).status).toBe(404);
  });

  test("joins cookies of HTTP/2, of which each may have a header of its own", async () => {
    await serving("notebook", seen);
    const session = connect(relay.origin);
    ends.unshift(async () => session.destroy());
    const call = session.request({ ":authority": "notebook.relay.example", cookie: ["a=1", "b=2"] });
    expect(await json(call)).toMatchObject({ headers: { cookie: "a=1; b=2" } });
  });

  test("answers hosts whose label is no name of a listener", async () => {
    for (const host of ["a.b.relay.example", "-a.relay.example", ".relay.example"]) {
      expect([host, (await ask("/", { host })).status]).toEqual([host, 404]);
    }
    expect((await ask("/", { host: "nobody.relay.example" })).status).toBe(503);
  });
});

describe("the gateway behind a proxy", () => {
  test.each([
    ["one that is trusted", ["127.0.0.1"], "https"],
    ["another one", [], "http"],
  ])("has the scheme of %s", async (_, trustedProxies, scheme) => {
    await opened({ gateway: { by: "path" }, trustedProxies });
    await serving("a", (request) => new Response(request.url));
    const { text } = await ask("/~/a/", { host: "relay.example", "x-forwarded-proto": "https" });
    expect(text).toBe(`${scheme}://relay.example/`);
  });
});

describe("the gateway of a relay whose policy dates each grant anew", () => {
  test.each([
    { cut: false, streams: 1 },
    { cut: true, streams: 3 },
  ])("has $streams for three calls of one caller whose grants have cut: $cut", async ({ cut, streams }) => {
    let expiresAtMs = Date.now() + 60_000;
    const authorize = () => {
      expiresAtMs += 1;
      return { subject: "ann", expiresAtMs, cut };
    };
    await opened({ gateway: { by: "path" }, authorize });
    await serving("a", seen);
    for (let calls = 0; calls < 3; calls += 1) expect((await ask("/~/a/")).status).toBe(200);
    expect(relay.proxy.counts.streams).toBe(streams);
  });
});

describe("the gateway of a relay with a policy", () => {
  beforeEach(() =>
    opened({
      gateway: { by: "path" },
      authorize({ action, token, caller }) {
        if (action === "listen") return {};
        if (token === "") throw new StreamError("who are you?", { code: Code.Unauthenticated });
        if (token !== "good") throw new StreamError("not you");
        return { subject: `user of ${caller.door}` };
      },
    }),
  );

  test("admits a caller by its bearer token, which the listener does not get", async () => {
    await serving("private", (request, { caller }) =>
      Response.json([caller?.subject, request.headers.get("authorization")]),
    );
    const url = `${relay.origin}/~/private/`;
    const call = async (headers: Record<string, string>) => {
      const { status, headers: answered, text } = await ask(new URL(url).pathname, headers);
      return [status, answered["www-authenticate"], status === 200 ? JSON.parse(text) : text.includes("who are you?")];
    };
    expect(await call({})).toEqual([401, 'Bearer realm="relay"', true]);
    expect(await call({ authorization: "Bearer bad" })).toEqual([403, undefined, false]);
    expect(await call({ authorization: "Bearer good" })).toEqual([200, undefined, ["user of gateway", null]]);
    const both = { "proxy-authorization": "Bearer good", authorization: "Bearer mine" };
    expect(await call(both)).toEqual([200, undefined, ["user of gateway", "Bearer mine"]]);
  });
});
