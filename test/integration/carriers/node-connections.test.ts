import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { constants, createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createConnectTransport } from "@connectrpc/connect-node";
import {
  Code,
  createWebSocketTransport,
  Failure,
  Hop,
  StreamClient,
  StreamServer,
  type TransportKind,
  type TransportLike,
} from "browser-stream-server";
import type { StreamServerProxyOptions } from "browser-stream-server/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../stream/platform/system-clock.js";
import { createEntry } from "../../../web/api/entry.js";
import { openNodeTransport } from "../../../web/node/node-transport.js";
import { Transports } from "../../../web/transport/transports.js";
import { FakeClock } from "../../fakes/fake-clock.js";
import { rejection, settled } from "../../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

/** Every connection is kept for the next call for longer than this. */
const maxExitMs = 800;
const programPath = fileURLToPath(new URL("../../fixtures/last-stream.mjs", import.meta.url));

const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startRelay(options: StreamServerProxyOptions): Promise<TestRelay> {
  const relay = await openRelay(options);
  closers.push(() => relay.close());
  return relay;
}

/** A relay on a server that speaks HTTP/1.1 alone, and that refuses WebSockets if it is to. */
async function overHttp1({ proxy }: TestRelay, webSockets: "taken" | "refused"): Promise<string> {
  const server = createServer(webSockets === "refused" ? proxy.handler : undefined);
  if (webSockets === "taken") proxy.install(server);
  else server.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A way to a relay that swallows everything from a moment on. */
async function openSwallower(relayOrigin: string) {
  let isOpen = true;
  let answers = 0;
  const server = createTcpServer({ noDelay: true }, (near) => {
    const far = connect({ port: Number(new URL(relayOrigin).port), host: "127.0.0.1", noDelay: true });
    near.on("error", () => {}).on("data", (data) => isOpen && far.write(data));
    far
      .on("error", () => {})
      .on("data", (data) => {
        if (!isOpen) return;
        answers += 1;
        near.write(data);
      });
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get answers() {
      return answers;
    },
    swallow: () => {
      isOpen = false;
    },
  };
}

const entryWith = (clock: FakeClock | typeof systemClock) =>
  createEntry(new Transports(openNodeTransport, clock), clock, () => {});

async function messagesOf(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const messages: unknown[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

const ways: [string, TransportKind, (relay: TestRelay) => Promise<TransportLike>][] = [
  ["HTTP/2 connection", "native", async ({ origin }) => origin],
  ["WebSocket", "websocket", (relay) => overHttp1(relay, "taken")],
  ["WebSocket of the application's", "websocket", async ({ url }) => createWebSocketTransport({ baseUrl: url })],
  ["fetch link", "fetch", (relay) => overHttp1(relay, "refused")],
  [
    "fetch link of the application's",
    "fetch",
    async ({ url }) => createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
  ],
];

describe.each(ways)("with room for five calls on each %s", (_, kind, transportTo) => {
  test("eight streams of one process open and echo, and its listener accepts them all", async () => {
    const relay = await startRelay({ limits: { maxStreamsPerConnection: 5, maxChannelsPerLink: 5 } });
    const { StreamServer, StreamClient } = entryWith(systemClock);
    const transport = await transportTo(relay);
    const server = StreamServer(transport, (stream) => stream.pipe(stream)).listen("echo");
    await server.ready;
    const streams = Array.from({ length: 8 }, () => StreamClient(transport).connect("echo"));
    await Promise.all(streams.map((stream) => stream.opened));
    expect(streams.map((stream) => stream.transport)).toEqual(Array(8).fill(kind));
    for (const [at, stream] of streams.entries()) stream.end(`message ${at}`);
    const echoed = await Promise.all(streams.map(messagesOf));
    expect(echoed).toEqual(streams.map((_, at) => [`message ${at}`]));
    await server.end();
    await holdsNothing(relay, "links");
  });
});

describe("over HTTP/2, by the relay's heartbeat", () => {
  /** The heartbeat differs from the default of relays, which is 15 s. */
  const heartbeatIntervalMs = 60_000;
  let clock: FakeClock;

  beforeEach(() => {
    clock = new FakeClock();
  });

  /** Lets time go by so that each part of it is noticed. */
  async function passes(heartbeats: number): Promise<void> {
    for (let half = 0; half < 2 * heartbeats; half += 1) {
      clock.advance(heartbeatIntervalMs / 2);
      for (let turns = 0; turns < 10; turns += 1) await settled();
    }
  }

  test("a client takes a relay for lost after two and a half heartbeats of silence, and not before", async () => {
    const relay = await startRelay({ limits: { heartbeatIntervalMs } });
    const { StreamServer } = entryWith(systemClock);
    const echo = StreamServer(relay.origin, (stream) => stream.pipe(stream)).listen("echo");
    closers.push(() => echo.end());
    await echo.ready;
    const way = await openSwallower(relay.origin);
    const stream = entryWith(clock).StreamClient(way.origin).connect("echo");
    await stream.opened;
    for (let heartbeats = 0; heartbeats < 4; heartbeats += 1) {
      const { answers } = way;
      await passes(1);
      await until(() => way.answers > answers);
    }
    way.swallow();
    await passes(2);
    expect(stream.state).toBe("open");
    // The last answer may have been heard half a heartbeat later.
    await passes(1.5);
    expect(stream.state).toBe("suspended");
    clock.advance(relay.proxy.limits.graceMs);
    const lost = { failure: Failure.LEG_LOST, hop: Hop.RELAY, code: Code.Unavailable };
    expect(await rejection(stream.closed)).toMatchObject(lost);
    // By the system's clock, the grace period of the client's leg has only begun.
    for (const peer of echo.streams) peer.destroy();
  });
});

describe("a program that had its last stream", () => {
  test.each([
    ["HTTP/2", "a base URL", async ({ origin }: TestRelay) => origin],
    ["a WebSocket link", "a base URL", (relay: TestRelay) => overHttp1(relay, "taken")],
    ["a fetch link", "a base URL", (relay: TestRelay) => overHttp1(relay, "refused")],
    ["a WebSocket of its own", "a WebSocket", async ({ origin }: TestRelay) => origin],
    ["HTTP/1.1 of its own", "HTTP/1.1", async ({ origin }: TestRelay) => origin],
  ])("over %s ends at once", async (_, way, originOf) => {
    const relay = await startRelay({});
    const { StreamServer } = entryWith(systemClock);
    const echo = StreamServer(relay.origin, (stream) => stream.pipe(stream)).listen("echo");
    closers.push(() => echo.end());
    await echo.ready;
    const { stdout } = await promisify(execFile)(process.execPath, [programPath, await originOf(relay), way]);
    expect(Number(stdout)).toBeLessThan(maxExitMs);
  });
});

describe("the user and the password of a URL", () => {
  const right = `Basic ${Buffer.from("u:pä:ss").toString("base64")}`;

  /** The relay behind a server that asks who calls. */
  async function openGuarded(
    create: typeof createServer | typeof createHttp2Server,
    webSockets = true,
  ): Promise<string> {
    const relay = await startRelay({});
    const inner = createServer();
    relay.proxy.install(inner);
    const isIn = ({ headers }: { headers: { authorization?: string | undefined } }) => headers.authorization === right;
    const outer = (create as typeof createServer)((request, response) => {
      if (isIn(request)) inner.emit("request", request, response);
      else response.writeHead(401, { "www-authenticate": "Basic" }).end();
    });
    outer.on("upgrade", (request, socket, head) => {
      if (isIn(request) && webSockets) inner.emit("upgrade", request, socket, head);
      else socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n");
    });
    outer.listen(0, "127.0.0.1");
    await once(outer, "listening");
    closers.push(async () => {
      outer.closeAllConnections?.();
      await new Promise((resolve) => outer.close(resolve));
    });
    return `127.0.0.1:${(outer.address() as AddressInfo).port}`;
  }

  test.each<[string, () => Promise<string>, (origin: string) => TransportLike]>([
    ["HTTP/2", () => openGuarded(createHttp2Server), (origin) => origin],
    ["a WebSocket link", () => openGuarded(createServer), (origin) => new URL(origin)],
    ["a fetch link", () => openGuarded(createServer, false), (origin) => origin],
    [
      "a WebSocket of the application's",
      () => openGuarded(createServer),
      (origin) => createWebSocketTransport({ baseUrl: `${origin}/browser-server` }),
    ],
  ])("are sent over %s, and no error tells the password", async (_, open, transportTo) => {
    const host = await open();
    const { StreamServer } = entryWith(systemClock);
    const server = StreamServer(transportTo(`http://u:p%C3%A4:ss@${host}`)).listen("guarded");
    await server.ready;
    await server.end();
    const refused = await rejection(StreamServer(transportTo(`http://u:wr0ng@${host}`)).listen("guarded").ready);
    expect(refused.message).toContain("401");
    expect(refused.message).not.toContain("wr0ng");
  });
});

test("a call that its connection refuses, because it is about to close, is begun anew on another one", async () => {
  const relay = await startRelay({});
  const server = createHttp2Server();
  relay.proxy.install(server);
  let calls = 0;
  server.prependListener("stream", (stream, headers) => {
    if (!headers[":path"]?.endsWith("/Connect")) return;
    calls += 1;
    // The first one tries whether the way leads to a relay.
    if (calls !== 2 && calls !== 3) return;
    stream.close(constants.NGHTTP2_REFUSED_STREAM);
    stream.session?.goaway();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  const echo = StreamServer(relay.origin, (stream) => void stream.pipe(stream)).listen("echo");
  closers.push(() => echo.end());
  await echo.ready;
  const stream = StreamClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).connect("echo");
  stream.end("once");
  expect([await messagesOf(stream), calls]).toEqual([["once"], 4]);
});
