import { once } from "node:events";
import { createServer as createHttpServer, request, type Server } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server, createSecureServer } from "node:http2";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Code, Failure, Hop, StreamClient, StreamServer } from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import { StreamServerProxy } from "browser-stream-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { open, RawLeg, RawListener, refusal, refused } from "../raw-calls.js";
import { openRelay, selfSigned } from "../relay-ports.js";

const tls = selfSigned();
const own = (_request: unknown, response: { end(text: string): unknown }) => void response.end("the server's own");

const servers = {
  http: { create: () => createHttpServer(own), httpVersion: "1.1", scheme: "http" },
  https: { create: () => createHttpsServer(tls, own), httpVersion: "1.1", scheme: "https" },
  "http2 without TLS": { create: () => createHttp2Server(own), httpVersion: "2", scheme: "http" },
  "http2 with TLS": { create: () => createSecureServer(tls, own), httpVersion: "2", scheme: "https" },
} as const;

const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function listening(server: Pick<Server, "listen" | "address" | "close">): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server as Server, "listening");
  const sockets = new Set<{ destroy(): void }>();
  (server as Server).on("connection", (socket) => sockets.add(socket));
  cleanUp.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A stream there and back through the relay at a URL. */
async function expectRelay(baseUrl: string, httpVersion: "1.1" | "2"): Promise<void> {
  const nodeOptions = { rejectUnauthorized: false };
  const sessionManager = new Http2SessionManager(baseUrl, {}, nodeOptions);
  const transport =
    httpVersion === "2"
      ? createConnectTransport({ baseUrl, httpVersion, sessionManager })
      : createConnectTransport({ baseUrl, httpVersion, nodeOptions });
  const server = StreamServer(transport, (stream) => stream.pipe(stream)).listen("echo");
  await server.ready;
  const stream = StreamClient(transport).connect("echo");
  stream.end("hello");
  for await (const message of stream) expect(message).toBe("hello");
  await server.end();
  sessionManager.abort();
}

describe.each(Object.keys(servers) as (keyof typeof servers)[])("on %s", (kind) => {
  const { create, httpVersion, scheme } = servers[kind];

  test("the relay has its prefix, and the server all else, until the relay is closed", async () => {
    const server = create();
    const proxy = StreamServerProxy("elsewhere/").install(server);
    cleanUp.push(() => proxy.close());
    const port = await listening(server as Server);
    const origin = `${scheme}://127.0.0.1:${port}`;
    expect(proxy.prefixes).toEqual(["/elsewhere"]);
    await expectRelay(`${origin}/elsewhere`, httpVersion);
    const proxy2 = StreamServerProxy({ prefix: "/second" }).install(server);
    await expectRelay(`${origin}/second`, httpVersion);
    proxy2.close();
    if (scheme === "http" && httpVersion === "1.1") {
      expect(await (await fetch(`${origin}/elsewhere`)).text()).toBe("the server's own");
      expect(await (await fetch(`${origin}/elsewhere/streamserver.v1.Nothing/At`)).status).toBe(404);
      proxy.close();
      const gone = await fetch(`${origin}/elsewhere/streamserver.v1.RelayService/List`);
      expect(await gone.text()).toBe("the server's own");
    }
  });
});

test("a server without listeners of its own answers 404, and one that gets them later uses them", async () => {
  const server = createHttpServer();
  const proxy = StreamServerProxy().install(server);
  cleanUp.push(() => proxy.close());
  const origin = `http://127.0.0.1:${await listening(server)}`;
  const first = await fetch(origin);
  expect(first.status).toBe(404);
  await first.text();
  server.on("request", own);
  expect(await (await fetch(origin)).text()).toBe("the server's own");
  await expectRelay(`${origin}/browser-server`, "1.1");
});

test("a body that waits for leave gets it of the relay, and of the server for what is the server's own", async () => {
  const server = createHttpServer().on("checkContinue", (_request, response) => {
    response.writeContinue();
    own(undefined, response);
  });
  const proxy = StreamServerProxy().install(server);
  cleanUp.push(() => proxy.close());
  const origin = `http://127.0.0.1:${await listening(server)}`;
  async function send(path: string): Promise<string> {
    const headers = { "content-type": "application/json", expect: "100-continue" };
    const asking = request(origin + path, { method: "POST", headers });
    asking.once("continue", () => asking.end("{}")).flushHeaders();
    const [response] = await once(asking, "response");
    let text = "";
    for await (const chunk of response) text += chunk;
    return text;
  }
  expect(await send("/browser-server/streamserver.v1.RelayService/List")).toBe("{}");
  expect(await send("/page")).toBe("the server's own");
});

test("as a handler among others, it passes on what is not its own", async () => {
  const proxy = StreamServerProxy();
  const server = createHttpServer((request, response) =>
    proxy.handler(request, response, () => void response.end("the next one")),
  );
  cleanUp.push(() => proxy.close());
  const origin = `http://127.0.0.1:${await listening(server)}`;
  expect(await (await fetch(`${origin}/page`)).text()).toBe("the next one");
  await expectRelay(`${origin}/browser-server`, "1.1");
});

test("pages of the origins that are allowed are let in, and no others", async () => {
  const relay = await openRelay({ origins: ["https://allowed.example"] });
  cleanUp.push(() => relay.close());
  const ask = async (origin: string) => {
    const { headers, status } = await fetch(`${relay.url}/streamserver.v1.LinkService/Receive`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,connect-protocol-version",
      },
    });
    return { status, origin: headers.get("access-control-allow-origin"), headers };
  };
  const allowed = await ask("https://allowed.example");
  expect(allowed).toMatchObject({ status: 204, origin: "https://allowed.example" });
  const allowedHeaders = allowed.headers.get("access-control-allow-headers")?.toLowerCase() ?? "";
  for (const header of ["content-type", "connect-protocol-version", "connect-timeout-ms", "x-grpc-web"]) {
    expect(allowedHeaders).toContain(header);
  }
  expect((await ask("https://other.example")).origin).toBeNull();
  const open = await openRelay({ origins: "*" });
  cleanUp.push(() => open.close());
  const { headers } = await fetch(`${open.url}/streamserver.v1.RelayService/List`, {
    method: "POST",
    headers: { origin: "https://any.example", "content-type": "application/json" },
    body: "{}",
  });
  expect(headers.get("access-control-allow-origin")).toBe("*");
});

test.each(["application/connect+proto", "application/grpc", "application/grpc-web+proto"])(
  "the response of a leg in %s may be read by pages of the origins that are allowed, and not be transformed",
  async (contentType) => {
    const relay = await openRelay({ origins: ["https://allowed.example"] });
    cleanUp.push(() => relay.close());
    const session = connectHttp2(relay.origin);
    cleanUp.push(() => session.destroy());
    const leg = session.request({
      ":method": "POST",
      ":path": `${new URL(relay.url).pathname}/streamserver.v1.RelayService/Connect`,
      "content-type": contentType,
      origin: "https://allowed.example",
    });
    const [headers] = await once(leg, "response");
    expect(headers).toMatchObject({
      ":status": 200,
      "content-type": contentType,
      "cache-control": "no-transform",
      "access-control-allow-origin": "https://allowed.example",
    });
    const exposed = String(headers["access-control-expose-headers"]).toLowerCase();
    for (const header of ["grpc-status", "error-id"]) expect(exposed).toContain(header);
  },
);

describe("HTTP/1.1 and HTTP/2 on one port", () => {
  const asked = "GET /nothing HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n";

  async function say(port: number, parts: string[]): Promise<string> {
    const socket = connect(port, "127.0.0.1").setNoDelay();
    for (const part of parts) await new Promise<void>((resolve) => socket.write(part, () => setImmediate(resolve)));
    let answer = "";
    for await (const chunk of socket) answer += chunk.toString("latin1");
    return answer;
  }

  test("are told apart by the first bytes, however they come", async () => {
    const relay = await openRelay();
    cleanUp.push(() => relay.close());
    const port = Number(new URL(relay.origin).port);
    expect(await say(port, [asked])).toMatch(/^HTTP\/1\.1 404/);
    expect(await say(port, [...asked])).toMatch(/^HTTP\/1\.1 404/);
    expect(await say(port, ["PR", "ONTO /x HTTP/1.1\r\n\r\n"])).toMatch(/^HTTP\/1\.1 400/);
    await expectRelay(relay.url, "2");
    await expectRelay(relay.url, "1.1");
  });

  test("a connection that hangs up at once, or talks garbage, disturbs nobody", async () => {
    const relay = await openRelay();
    cleanUp.push(() => relay.close());
    const port = Number(new URL(relay.origin).port);
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.resetAndDestroy();
    expect(await say(port, ["\u0016\u0003\u0001garbage\r\n\r\n"])).toMatch(/^HTTP\/1\.1 400/);
    await expectRelay(relay.url, "2");
  });
});

test("closing the relay ends what hangs on it: at once where it cannot resume, else when the grace period is over", async () => {
  const graceMs = 300;
  const relay = await openRelay({ limits: { graceMs } });
  cleanUp.push(() => relay.close());
  const server = StreamServer(relay.origin, (stream) => stream.resume()).listen("name");
  await server.ready;
  const stream = StreamClient(relay.origin).connect("name");
  await stream.opened;
  const sessionManager = new Http2SessionManager(relay.url);
  cleanUp.push(() => sessionManager.abort());
  const transport = createConnectTransport({ baseUrl: relay.url, httpVersion: "2", sessionManager });
  const client = createClient(RelayService, transport);
  const simpleListener = new RawListener(client, "simple name");
  const simpleClient = new RawLeg(client, "connect", open({ name: "name" }));
  await Promise.all([simpleListener.event("registered"), simpleClient.receive("accepted")]);
  const suspensions = Promise.all([
    new Promise((done) => server.once("suspended", done)),
    new Promise((done) => stream.once("suspended", done)),
  ]);

  relay.proxy.close();
  const draining = refusal(Code.Unavailable, Failure.DRAINING);
  for (const simple of [simpleListener, simpleClient]) expect(await refused(simple.rest())).toEqual(draining);
  expect(await suspensions).toEqual(Array(2).fill({ hop: Hop.RELAY, graceMs }));
  const lost = { failure: Failure.LEG_LOST, hop: Hop.RELAY };
  await expect(stream.closed).rejects.toMatchObject(lost);
  await expect(server.closed).rejects.toMatchObject({ ...lost, cause: { failure: Failure.DRAINING } });
  expect(Object.values(relay.proxy.counts).every((count) => count === 0)).toBe(true);
});
