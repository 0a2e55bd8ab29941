import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { createConnectTransport as createFetchTransport } from "@connectrpc/connect-web";
import {
  Code,
  createWebSocketTransport,
  Failure,
  Hop,
  StreamClient,
  StreamServer,
  type TransportLike,
} from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import { type RelayLimits, StreamServerProxy, serveRelay } from "browser-stream-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { rejection } from "../../fakes/outcome.js";
import { frame, open, proof, RawLeg, RawListener } from "../raw-calls.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

const lost = { failure: Failure.LEG_LOST, hop: Hop.RELAY, code: Code.Unavailable };
const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A way to a server that can be cut, at once or as soon as more is sent on it. */
interface Cuttable {
  origin: string;
  cut(): void;
  cutOnceAsked(): void;
}

async function openCuttable(origin: string): Promise<Cuttable> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    return socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  };
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  let isWaiting = false;
  const server = createTcpServer((near) => {
    const far = connect(Number(new URL(origin).port), "127.0.0.1");
    near.on("data", () => isWaiting && cut());
    keep(near).pipe(keep(far)).pipe(near);
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => {
    cut();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    cutOnceAsked: () => {
      isWaiting = true;
    },
  };
}

async function listenOn(server: Server | ReturnType<typeof createHttp2Server>): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => {
    if ("closeAllConnections" in server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function http2Relay(limits?: Partial<RelayLimits>): Promise<TestRelay> {
  const relay = await openRelay({ limits });
  closers.push(() => relay.close());
  return relay;
}

/** A relay on a server that speaks HTTP/1.1 alone. */
async function http1Relay(limits?: Partial<RelayLimits>): Promise<TestRelay> {
  const relay = await http2Relay(limits);
  const server = createServer();
  relay.proxy.install(server);
  const origin = await listenOn(server);
  return { ...relay, origin, url: `${origin}/browser-server` };
}

async function messagesOf(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const messages: unknown[] = [];
  for await (const message of stream) messages.push(message);
  return messages;
}

/**
 * The transports that an application may hand in: their names, whether messages know the relay's URL, a relay that goes
 * with them, and how they are made.
 */
const ways: [string, boolean, typeof http2Relay, (origin: string) => TransportLike][] = [
  ["a base URL with HTTP/2", true, http2Relay, (origin) => origin],
  ["a base URL without", true, http1Relay, (origin) => origin],
  ["a WebSocket", true, http2Relay, (origin) => createWebSocketTransport({ baseUrl: `${origin}/browser-server` })],
  [
    "HTTP/2 of the application's",
    false,
    http2Relay,
    (origin) => createConnectTransport({ baseUrl: `${origin}/browser-server`, httpVersion: "2" }),
  ],
  [
    "HTTP/1.1 of the application's",
    false,
    http2Relay,
    (origin) => createConnectTransport({ baseUrl: `${origin}/browser-server`, httpVersion: "1.1" }),
  ],
  ["fetch", false, http2Relay, (origin) => createFetchTransport({ baseUrl: `${origin}/browser-server` })],
];

describe.each(ways)("over %s", (_, isUrlKnown, openItsRelay, transportTo) => {
  const expectLost = (error: Error, origin: string) => {
    expect(error).toMatchObject(lost);
    if (isUrlKnown) expect(error.message).toContain(`${origin}/browser-server`);
  };

  test("a relay that cannot be reached is one failure, with the URL", async () => {
    const { origin, close } = await (async () => {
      const server = createServer();
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const port = (server.address() as AddressInfo).port;
      return { origin: `http://127.0.0.1:${port}`, close: () => new Promise((resolve) => server.close(resolve)) };
    })();
    await close();
    const transport = transportTo(origin);
    expectLost(await rejection(StreamServer(transport).listen("away").ready), origin);
    const error = await rejection(StreamClient(transport).connect("away").opened);
    expectLost(error, origin);
    expect(error.message).toContain("ECONNREFUSED");
  });

  test.each([
    ["HTTP/1.1", () => createServer((_request, response) => response.writeHead(404).end("nobody"))],
    ["HTTP/2", () => createHttp2Server((_request, response) => response.writeHead(404).end("nobody"))],
  ])("a server without a relay that speaks %s is the same failure", async (_, create) => {
    const origin = await listenOn(create());
    const transport = transportTo(origin);
    expectLost(await rejection(StreamServer(transport).listen("none").ready), origin);
    expectLost(await rejection(StreamClient(transport).connect("none").opened), origin);
  });

  /** An echo at a relay with a grace period, and a way there for a listener and a client. */
  async function openPair(graceMs: number) {
    const relay = await openItsRelay({ graceMs });
    // A stream that is lost is told to the echo as well.
    const echo = StreamServer(relay.origin, (stream) => stream.on("error", () => {}).pipe(stream)).listen("echo");
    closers.push(() => echo.end());
    await echo.ready;
    const way = await openCuttable(relay.origin);
    const transport = transportTo(way.origin);
    const server = StreamServer(transport).listen("listener");
    const stream = StreamClient(transport).connect("echo");
    await Promise.all([server.ready, stream.opened]);
    return { relay, echo, way, transport, server, stream };
  }

  test("a connection that is reset suspends what it carried, which goes on over another", async () => {
    const graceMs = 60_000;
    const { relay, echo, way, server, stream } = await openPair(graceMs);
    stream.write("before");
    const suspended = Promise.all([
      new Promise((done) => server.once("suspended", done)),
      new Promise((done) => stream.once("suspended", done)),
    ]);
    const resumed = Promise.all([
      new Promise<void>((done) => server.once("resumed", done)),
      new Promise<void>((done) => stream.once("resumed", done)),
    ]);
    way.cut();
    expect(await suspended).toEqual(Array(2).fill({ hop: Hop.RELAY, graceMs }));
    await resumed;
    stream.end("after");
    expect(await messagesOf(stream)).toEqual(["before", "after"]);
    server.on("stream", (accepted) => accepted.pipe(accepted));
    const late = StreamClient(relay.origin).connect("listener").end("still the listener's name");
    expect(await messagesOf(late)).toEqual(["still the listener's name"]);
    await server.end();
    await echo.end();
    await holdsNothing(relay, "links");
  });

  test("a connection that is reset before the relay has answered, and again and again, is the same failure", async () => {
    const { way, transport, server, stream } = await openPair(300);
    way.cutOnceAsked();
    const second = StreamClient(transport).connect("echo");
    const again = StreamServer(transport).listen("another");
    for (const opened of [second.opened, again.ready]) expectLost(await rejection(opened), way.origin);
    for (const closed of [server.closed, stream.closed]) expectLost(await rejection(closed), way.origin);
  });
});

test("a client that came back while it waited goes on to a listener that resumes no streams", async () => {
  const relay = await http2Relay();
  const transport = createConnectTransport({ baseUrl: relay.url, httpVersion: "2" });
  const listener = new RawListener(createClient(RelayService, transport), "simple");
  await listener.event("registered");
  const way = await openCuttable(relay.origin);
  const stream = StreamClient(way.origin).connect("simple");
  stream.write("early");
  const offer = await listener.event("offer");
  const resumed = new Promise<void>((done) => stream.once("resumed", done));
  way.cut();
  await resumed;
  expect(stream.state).toBe("opening");
  const leg = new RawLeg(createClient(RelayService, transport), "accept", open(proof(offer)));
  const { sequence, messages } = await leg.receive("frame");
  expect([sequence, messages.map(({ data }) => new TextDecoder().decode(data))]).toEqual([1n, ["early"]]);
  leg.send(frame({ sequence: 1n, messages: [{ data: new TextEncoder().encode("late"), text: true }] }));
  leg.send(frame({ sequence: 2n, fin: true }));
  stream.end();
  expect(await messagesOf(stream)).toEqual(["late"]);
  leg.endRequest();
  await stream.closed;
  await listener.close();
  await holdsNothing(relay, "links");
});

test("a relay that closes answers pages as the relay, and not as the page that the server has beside it", async () => {
  const origin = "https://page.example";
  const server = await serveRelay({
    proxy: StreamServerProxy({ prefix: "/relay", origins: [origin] }),
    port: 0,
    host: "127.0.0.1",
    fallback: (_request, response) => {
      response.statusCode = 405;
      response.end();
    },
  });
  const agent = new Agent({ keepAlive: true });
  closers.push(async () => agent.destroy());
  const ask = (method: string, path: string, headers = {}) =>
    request({ agent, port: server.port, host: "127.0.0.1", method, path, headers });
  const answerTo = async (asking: ReturnType<typeof ask>) =>
    ((await once(asking, "response")) as [IncomingMessage])[0].resume();
  await once(await answerTo(ask("GET", "/healthz").end()), "end");

  const leave = { origin, "access-control-request-method": "POST" };
  const preflight = ask("OPTIONS", "/relay/streamserver.v1.LinkService/Receive", leave).end();
  const answer = answerTo(preflight);
  // The request has left, and the relay hears of it when it closes already.
  await once(preflight, "finish");
  await server.close();
  const { statusCode, headers } = await answer;
  expect([statusCode, headers["access-control-allow-origin"]]).toEqual([204, origin]);
});
