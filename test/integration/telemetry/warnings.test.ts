import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Failure, StreamClient, StreamServer } from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import { type RelayWarning, StreamServerProxy, type StreamServerProxyOptions } from "browser-stream-server/server";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { WebSocket } from "ws";
import { linkProtocol, linkSocketPath } from "../../../link/packet/link-message.js";
import { closeTimeoutMs } from "../../../server/http/open-responses.js";
import { transportOf } from "../../contract/web-way.js";
import { FakeClock } from "../../fakes/fake-clock.js";
import { openRelay, selfSigned, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";
import { http2Ways } from "../ways.js";

async function relayWith(options: StreamServerProxyOptions & { tls?: { cert: string; key: string } } = {}) {
  const relay = await openRelay(options);
  onTestFinished(() => relay.close());
  const told: RelayWarning[] = [];
  relay.proxy.on("warning", (warning) => told.push(warning));
  return { relay, told, next: async () => (await once(relay.proxy, "warning"))[0] as RelayWarning };
}

/** Resolves with the status that a request for a WebSocket is answered with. */
function statusOf(url: string, protocol = linkProtocol, headers: Record<string, string> = {}): Promise<number> {
  const socket = new WebSocket(url.replace(/^http/, "ws"), protocol, { headers, rejectUnauthorized: false });
  return new Promise((resolve, reject) => {
    socket.on("unexpected-response", (request, { statusCode = 0 }) => {
      request.destroy();
      resolve(statusCode);
    });
    socket.on("open", () => {
      socket.terminate();
      resolve(101);
    });
    socket.on("error", reject);
  });
}

describe("a WebSocket that is refused is told to the operator, with the cause", () => {
  test.each([
    ["Origin and Host differ", { origin: "https://page.example" }, 403, "origin-refused", "https://page.example"],
    [
      "Host is not the browser's",
      { origin: "https://a.example", host: "127.0.0.1" },
      403,
      "origin-refused",
      "127.0.0.1",
    ],
  ])("%s", async (_, headers, status, kind, words) => {
    const { relay, next } = await relayWith();
    const [warning, answered] = await Promise.all([
      next(),
      statusOf(relay.url + linkSocketPath, linkProtocol, headers as Record<string, string>),
    ]);
    expect([answered, warning]).toEqual([status, { kind, count: 1, message: expect.stringContaining(words) }]);
  });

  test("but not by a relay that is closed, whose port is open a moment longer", async () => {
    const { relay, told } = await relayWith();
    const server = createServer(relay.proxy.handler).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    relay.proxy.close();
    const { port } = server.address() as AddressInfo;
    expect(await statusOf(`http://127.0.0.1:${port}/browser-server${linkSocketPath}`)).toBe(404);
    expect(told).toEqual([]);
  });

  test("a request that is no handshake", async () => {
    const { relay, next } = await relayWith();
    const headers = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-protocol": linkProtocol };
    const asking = request(relay.url + linkSocketPath, { headers }).end();
    const [warning, [response]] = await Promise.all([next(), once(asking, "response")]);
    response.resume();
    expect([response.statusCode, warning.kind]).toEqual([400, "handshake-refused"]);
  });

  test("another protocol, whose name is not repeated, because it may be somebody's token", async () => {
    const { relay, next } = await relayWith();
    const protocol = "base64url.bearer.secret-of-another-system";
    const [warning, status] = await Promise.all([next(), statusOf(relay.url + linkSocketPath, protocol)]);
    expect([status, warning.kind]).toEqual([400, "handshake-refused"]);
    expect(warning.message).toContain(linkProtocol);
    expect(warning.message).not.toMatch(/secret|bearer/);
  });

  test("a page without TLS, of a relay that is asked over TLS", async () => {
    const { relay, next } = await relayWith({ tls: selfSigned() });
    const origin = relay.origin.replace("https", "http");
    const [{ kind, message }] = await Promise.all([
      next(),
      statusOf(relay.url + linkSocketPath, linkProtocol, { origin }),
    ]);
    expect([kind, message]).toEqual(["origin-refused", expect.stringContaining("TLS")]);
  });

  test("a path that is not under the prefix, for a WebSocket and for an RPC", async () => {
    const { relay, told } = await relayWith();
    const wrong = `${relay.origin}/elsewhere`;
    expect(await statusOf(wrong + linkSocketPath)).toBe(404);
    await fetch(`${relay.origin}/favicon.ico`);
    await fetch(`${wrong}/streamserver.v1.RelayService/List?token=s3cret`);
    await until(() => told.length > 0);
    expect(told).toEqual([
      { kind: "path-unknown", count: 1, message: expect.stringMatching(/elsewhere.*browser-server/) },
    ]);
    // Some put a token there, although nothing asks them to.
    expect(told[0]?.message).not.toContain("s3cret");
  });
});

test("a page that gets no leave to call the relay is told, and one that needs none is not", async () => {
  const { relay, told } = await relayWith({ origins: ["https://allowed.example"] });
  const ask = (origin: string, method: string) =>
    fetch(`${relay.url}/streamserver.v1.RelayService/List`, {
      method,
      headers: { origin, "access-control-request-method": "POST", "content-type": "application/json" },
      body: method === "POST" ? "{}" : null,
    });
  await ask("https://allowed.example", "OPTIONS");
  await ask(relay.origin, "POST");
  await ask("https://other.example", "OPTIONS");
  await until(() => told.length > 0);
  expect(told).toMatchObject([{ kind: "origin-refused", message: expect.stringContaining("https://other.example") }]);
});

describe("a limit that is reached is told to the operator by its name", () => {
  const clientOf = (relay: TestRelay) =>
    createClient(RelayService, createConnectTransport({ baseUrl: relay.url, httpVersion: "1.1" }));

  test("maxNames", async () => {
    const { relay, told } = await relayWith({ limits: { maxNames: 1 } });
    const server = StreamServer(relay.origin).listen("first");
    await server.ready;
    const failure = { failure: Failure.LIMIT_REACHED };
    for (const name of ["second", "third"]) {
      await expect(StreamServer(relay.origin).listen(name).ready).rejects.toMatchObject(failure);
    }
    await server.end();
    relay.proxy.close();
    await until(() => told.length > 1);
    expect(told).toMatchObject([
      { kind: "limit-reached", limit: "maxNames", count: 1 },
      { kind: "limit-reached", limit: "maxNames", count: 1 },
    ]);
  });

  test("maxOffersPerName and maxStreams", async () => {
    const { relay, told } = await relayWith({ limits: { maxOffersPerName: 1, maxStreams: 2 } });
    const servers = ["a", "b"].map((name) => StreamServer(relay.origin, () => new Promise(() => {})).listen(name));
    await Promise.all(servers.map(({ ready }) => ready));
    const streams = [];
    for (const name of ["a", "a", "b", "b"]) {
      const stream = relay.proxy.connect(name).on("error", () => {});
      streams.push(stream);
      await until(() => relay.proxy.counts.offers > 0);
      await new Promise(setImmediate);
    }
    await until(() => told.length === 2);
    expect(told).toMatchObject([{ limit: "maxOffersPerName" }, { limit: "maxStreams" }]);
    for (const stream of streams) stream.destroy();
    await Promise.all(servers.map((server) => server.end()));
  });

  test("maxWatchers", async () => {
    const { relay, next } = await relayWith({ limits: { maxWatchers: 1 } });
    const abort = new AbortController();
    const first = clientOf(relay).watch({}, { signal: abort.signal })[Symbol.asyncIterator]();
    await first.next();
    const second = clientOf(relay).watch({})[Symbol.asyncIterator]();
    const [warning] = await Promise.all([next(), expect(second.next()).rejects.toThrow()]);
    expect(warning).toMatchObject({ kind: "limit-reached", limit: "maxWatchers" });
    abort.abort();
    await first.next().catch(() => {});
  });

  test("maxChannelsPerLink and maxStreamsPerConnection, whose callers are not refused but wait", async () => {
    const { relay, told } = await relayWith({ limits: { maxChannelsPerLink: 2, maxStreamsPerConnection: 3 } });
    const limits = () => told.map((warning) => warning.kind === "limit-reached" && warning.limit);
    const link = transportOf({ kind: "websocket", url: relay.url });
    const onLink = ["a", "b"].map((name) => StreamServer(link).listen(name));
    await Promise.all(onLink.map(({ ready }) => ready));
    await until(() => limits().includes("maxChannelsPerLink"));
    const { transport, close } = http2Ways["gRPC over HTTP/2"](relay.url);
    const onConnection = ["c", "d", "e"].map((name) => StreamServer(transport).listen(name));
    await until(() => limits().includes("maxStreamsPerConnection"));
    close();
    await Promise.all(onConnection.map((server) => expect(server.closed).rejects.toThrow()));
    await Promise.all(onLink.map((server) => server.end()));
  });

  test("maxLinks", async () => {
    const { relay, next } = await relayWith({ limits: { maxLinks: 1 } });
    const server = StreamServer(transportOf({ kind: "websocket", url: relay.url })).listen("a");
    await server.ready;
    const link = transportOf({ kind: "connect-binary", url: relay.url });
    const [warning] = await Promise.all([
      next(),
      expect(StreamServer(link).listen("b").ready).rejects.toMatchObject({ failure: Failure.LIMIT_REACHED }),
    ]);
    expect(warning).toMatchObject({ kind: "limit-reached", limit: "maxLinks" });
    await server.end();
  });
});

describe("a listener of the application's that fails", () => {
  test.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("no room");
      },
    ],
    [
      "returns a promise that rejects",
      async () => {
        throw new Error("no room");
      },
    ],
    [
      "throws what is no error",
      () => {
        throw Object.create(null);
      },
    ],
  ])("and %s is told, and hinders nobody", async (_, fail) => {
    const { relay, next } = await relayWith();
    relay.proxy.on("server.created", fail as () => void);
    const heard = once(relay.proxy, "server.created");
    const server = StreamServer(relay.origin).listen("room");
    const [warning, [name]] = await Promise.all([next(), heard]);
    expect(name).toBe("room");
    expect(warning).toMatchObject({ kind: "listener-failed", event: "server.created", error: expect.anything() });
    await server.end();
    await expect(StreamClient(relay.origin).connect("room").opened).rejects.toMatchObject({
      failure: Failure.NO_SUCH_NAME,
    });
  });
});

describe("what nobody listens for", () => {
  const print = vi.spyOn(console, "error");
  beforeEach(() => void print.mockReset().mockImplementation(() => {}));
  afterEach(() => void print.mockReset());

  test("a stream of the relay's own process that fails is a line on standard error", async () => {
    const relay = await openRelay();
    onTestFinished(() => relay.close());
    relay.proxy.connect("nobody's");
    await until(() => print.mock.calls.length > 0);
    expect(print.mock.calls).toEqual([[expect.stringMatching(/nobody's.*NO_SUCH_NAME/)]]);
  });

  test("a warning is a line on standard error, and so is what a listener for warnings throws", async () => {
    const relay = await openRelay();
    onTestFinished(() => relay.close());
    await statusOf(relay.url + linkSocketPath, "other");
    await until(() => print.mock.calls.length > 0);
    relay.proxy.on("warning", () => {
      throw new Error("a log that is full");
    });
    await statusOf(relay.url + linkSocketPath, linkProtocol, { origin: "https://a.example" });
    await until(() => print.mock.calls.length > 1);
    const lines = print.mock.calls.map(([line]) => line as string);
    expect(lines).toEqual([expect.stringContaining(linkProtocol), expect.stringContaining("a log that is full")]);
  });
});

describe("StreamServerProxy.install", () => {
  async function installed() {
    const server = createServer();
    const clock = new FakeClock();
    const proxy = StreamServerProxy({ clock, limits: { graceMs: 200 } }).install(server);
    const told: RelayWarning[] = [];
    proxy.on("warning", (warning) => told.push(warning));
    onTestFinished(() => proxy.close());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return { server, proxy, clock, told, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  test("tells that its server was closed, and streams keep it open", async () => {
    const { server, proxy, clock, origin } = await installed();
    const streams = StreamServer(origin)
      .listen("room")
      .on("error", () => {});
    await streams.ready;
    const warned = once(proxy, "warning");
    const closed = new Promise((resolve) => server.close(resolve));
    // A WebSocket is not among the connections that this closes.
    server.closeAllConnections();
    clock.advance(closeTimeoutMs);
    expect((await warned)[0]).toMatchObject({ kind: "server-closed" });
    proxy.close();
    await closed;
    await expect(streams.closed).rejects.toMatchObject({ failure: Failure.LEG_LOST });
  });

  test("tells that its server has ended, and the relay is still there", async () => {
    const { server, proxy, clock } = await installed();
    const warned = once(proxy, "warning");
    server.close();
    expect((await warned)[0]).toMatchObject({ kind: "server-closed" });
    expect(clock.timers).toBe(0);
  });

  test.each(["before it", "after it", "when it has ended"])("tells nothing if the relay is closed %s", async (when) => {
    const { server, proxy, clock, told } = await installed();
    const closeRelay = () => proxy.close();
    if (when === "when it has ended") server.once("close", closeRelay);
    if (when === "before it") closeRelay();
    const closed = new Promise((resolve) => server.close(resolve));
    if (when === "after it") closeRelay();
    await closed;
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    expect(told).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  test("tells that a connection could not be accepted, which ends no process", async () => {
    const { server, proxy } = await installed();
    const warned = once(proxy, "warning");
    const error = Object.assign(new Error("accept EMFILE"), { code: "EMFILE", syscall: "accept" });
    server.emit("error", error);
    expect((await warned)[0]).toMatchObject({ kind: "accept-failed", error });
    // Any other error is the server's own.
    expect(() => server.emit("error", new Error("other"))).toThrow("other");
    server.close();
  });
});
