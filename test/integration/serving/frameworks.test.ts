import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Code, StreamClient, StreamServer, type TransportLike } from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import { type RelayWarning, StreamServerProxy } from "browser-stream-server/server";
import { describe, expect, onTestFinished, test } from "vitest";
import { linkSocketPath } from "../../../link/packet/link-message.js";
import { transportOf } from "../../contract/web-way.js";
import { compression, express, type Middleware, serveExpress } from "../express-server.js";

const prefix = "/browser-server";
const anyType = { type: "*/*" };

/** The relay's warnings, as they come. */
function warningsOf(proxy: StreamServerProxy): RelayWarning[] {
  const told: RelayWarning[] = [];
  proxy.on("warning", (warning) => told.push(warning));
  return told;
}

/** Sends messages through a stream, one after the other, and expects each back before the next is sent. */
async function expectEcho(transport: TransportLike, count = 3): Promise<string | undefined> {
  const server = StreamServer(transport, (stream) => stream.pipe(stream)).listen("echo");
  await server.ready;
  const stream = StreamClient(transport).connect("echo");
  const echoes = stream[Symbol.asyncIterator]();
  for (let sent = 0; sent < count; sent += 1) {
    stream.write(`${sent}`);
    expect(await echoes.next()).toEqual({ done: false, value: `${sent}` });
  }
  const { transport: kind } = stream;
  stream.end();
  await stream.closed;
  await server.end();
  return kind;
}

const kinds = ["connect-binary", "connect-json", "grpc-web"] as const;

describe("behind compression()", () => {
  test.each(kinds)(
    "a link over %s is neither compressed nor held back, and adds no listeners for each message",
    async (kind) => {
      const leaks: Error[] = [];
      const onWarning = (warning: Error) => leaks.push(warning);
      process.on("warning", onWarning);
      onTestFinished(() => void process.off("warning", onWarning));
      const encodings = new Set<unknown>();
      const watch: Middleware = (_request, response, next) => {
        response.once("finish", () => encodings.add(response.getHeader("content-encoding")));
        response.setHeader("Cache-Control", "private");
        next();
      };
      const proxy = StreamServerProxy(prefix);
      const origin = await serveExpress(proxy, watch, compression(), proxy.handler);
      await expectEcho(transportOf({ kind, url: origin + prefix }), 30);
      expect(leaks).toEqual([]);
      expect([...encodings]).toEqual([undefined]);
      const { headers } = await fetch(`${origin}${prefix}/streamserver.v1.RelayService/List`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      expect(headers.get("cache-control")).toBe("private, no-transform");
    },
  );
});

describe("behind body parsers", () => {
  const keepsRaw = {
    verify(request: object, _response: unknown, bytes: Uint8Array) {
      Object.assign(request, { rawBody: bytes });
    },
  };

  test.each<[string, Middleware]>([
    ["express.json()", express.json()],
    ["express.raw() of all types", express.raw(anyType)],
    ["express.text() of its own types", express.text()],
    ["express.urlencoded()", express.urlencoded()],
    ["express.text() that keeps the bytes", express.text({ ...anyType, ...keepsRaw })],
    // Express 4 does so for a request whose type is another parser's.
    [
      "a parser that has a default",
      (request, _response, next) => {
        Object.assign(request, { body: {} });
        next();
      },
    ],
  ])("%s, links work", async (_, parser) => {
    const proxy = StreamServerProxy(prefix);
    const told = warningsOf(proxy);
    const origin = await serveExpress(proxy, parser, proxy.handler);
    for (const kind of kinds) await expectEcho(transportOf({ kind, url: origin + prefix }));
    expect(told).toEqual([]);
  });

  const eaters: [string, Middleware][] = [
    ["express.text() of all types", express.text(anyType)],
    ["express.urlencoded() of all types", express.urlencoded(anyType)],
    [
      "a handler that drains the request",
      (request, _response, next) => void request.resume().once("end", () => next()),
    ],
  ];
  const transports = {
    Connect: createConnectTransport,
    "gRPC-Web": createGrpcWebTransport,
  };

  test.each(eaters.flatMap(([name, eater]) => Object.entries(transports).map((way) => [name, eater, ...way] as const)))(
    "%s, a call over $2 fails with the cause, and the operator is told",
    async (_, eater, __, createTransport) => {
      const proxy = StreamServerProxy(prefix);
      const told = warningsOf(proxy);
      const origin = await serveExpress(proxy, eater, proxy.handler);
      const client = createClient(RelayService, createTransport({ baseUrl: origin + prefix, httpVersion: "1.1" }));
      const failure = { code: Code.FailedPrecondition, rawMessage: expect.stringContaining("body parser") };
      await expect(client.list({ prefix: "a" })).rejects.toMatchObject(failure);
      const events = client.listen({ name: "a" });
      await expect(events[Symbol.asyncIterator]().next()).rejects.toMatchObject(failure);
      expect(told).toMatchObject([{ kind: "body-read", count: 1 }]);
      expect(proxy.counts.leases).toBe(0);
    },
  );

  test("a unary call in JSON works behind each, and a GET needs no body", async () => {
    for (const parser of [express.json(anyType), express.text(anyType), express.raw(anyType)]) {
      const proxy = StreamServerProxy(prefix);
      const origin = await serveExpress(proxy, parser, proxy.handler);
      const url = `${origin}${prefix}/streamserver.v1.RelayService/List`;
      const headers = { "content-type": "application/json" };
      const answers = [
        await fetch(url, { method: "POST", headers, body: '{"prefix":"a"}' }),
        await fetch(`${url}?encoding=json&connect=v1&message=${encodeURIComponent("{}")}`),
      ];
      for (const answer of answers) expect([answer.status, await answer.json()]).toEqual([200, {}]);
    }
  });
});

describe("mounted at a path", () => {
  test.each([
    ["the prefix is the whole path", "/apps/relay"],
    ["the prefix follows the mount path", prefix],
    ["there is no prefix beside the mount path", ""],
  ])("RPCs and the WebSocket work where %s", async (_, given) => {
    const proxy = StreamServerProxy(given);
    const origin = await serveExpress(proxy, ["/apps/relay", proxy.handler]);
    const whole = given === "/apps/relay" ? given : `/apps/relay${given}`;
    expect(await expectEcho(transportOf({ kind: "connect-json", url: origin + whole }))).toBe("fetch");
    expect(await expectEcho(transportOf({ kind: "websocket", url: origin + whole }))).toBe("websocket");
  });

  test("a handler beside it that takes upgrades too keeps those that are not exactly the relay's", async () => {
    const proxy = StreamServerProxy(prefix);
    onTestFinished(() => proxy.close());
    const asked = { headers: {}, url: `/elsewhere${prefix}${linkSocketPath}` };
    const passedOn = new Promise<void>((resolve) => proxy.upgrade(asked as never, {} as never, Buffer.of(), resolve));
    await passedOn;
  });
});

test.each([
  ["whose server does not hand it upgrades", { connection: "Upgrade", upgrade: "websocket" }, "upgrade"],
  ["behind a proxy that takes the Upgrade header", {}, "proxy"],
])("a relay %s tells why there is no WebSocket", async (_, headers, words) => {
  const proxy = StreamServerProxy(prefix);
  const told = warningsOf(proxy);
  const server = createServer(proxy.handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  const asking = request({
    port: (server.address() as AddressInfo).port,
    path: prefix + linkSocketPath,
    headers,
  }).end();
  const [response] = await once(asking, "response");
  response.resume();
  expect(response.statusCode).toBe(404);
  expect(told).toEqual([{ kind: "handshake-refused", count: 1, message: expect.stringContaining(words) }]);
  proxy.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test("a request that a middleware has made unusable is answered with 500, and the operator is told", async () => {
  const proxy = StreamServerProxy(prefix);
  const told = warningsOf(proxy);
  const spoil: Middleware = (request, _response, next) => {
    request.headers["x-name"] = "部屋";
    next();
  };
  const origin = await serveExpress(proxy, spoil, proxy.handler);
  const { status } = await fetch(`${origin}${prefix}/streamserver.v1.RelayService/List`, { method: "POST" });
  expect([status, told]).toEqual([500, [expect.objectContaining({ kind: "request-failed" })]]);
});
