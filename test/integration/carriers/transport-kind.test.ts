import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import {
  createWebSocketTransport,
  StreamClient,
  StreamServer,
  type TransportKind,
  type TransportLike,
} from "browser-stream-server";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

let relay: TestRelay;
/** A server that speaks HTTP/1.1 alone, with the relay on it. */
const http1 = createServer();
const intercepted = new Set<string>();
const intercept: Interceptor = (next) => (request) => {
  intercepted.add(request.method.name);
  return next(request);
};

beforeAll(async () => {
  relay = await openRelay();
  relay.proxy.install(http1.listen(0, "127.0.0.1"));
  await once(http1, "listening");
});

afterEach(async () => {
  intercepted.clear();
  await holdsNothing(relay, "links");
});

afterAll(async () => {
  await relay.close();
  http1.closeAllConnections();
  await new Promise((resolve) => http1.close(resolve));
});

const http1Origin = () => `http://127.0.0.1:${(http1.address() as AddressInfo).port}`;

const ways: [string, TransportKind, () => TransportLike][] = [
  ["a WebSocket", "websocket", () => createWebSocketTransport({ baseUrl: relay.url })],
  ["JSON on a WebSocket", "websocket", () => createWebSocketTransport({ baseUrl: relay.url, useBinaryFormat: false })],
  ["interceptors", "websocket", () => createWebSocketTransport({ baseUrl: relay.url, interceptors: [intercept] })],
  ["fetch", "fetch", () => createConnectTransport({ baseUrl: relay.url })],
  ["a base URL with HTTP/2", "native", () => relay.origin],
  ["a base URL without", "websocket", http1Origin],
];

test.each(ways)("an application sees the way that it has with %s", async (way, kind, transportOf) => {
  const transport = transportOf();
  const events: string[] = [];
  const there: (TransportKind | undefined)[] = [];
  const server = StreamServer(transport, async (stream) => {
    for await (const message of stream) stream.end(message);
    there.push(stream.transport);
  });
  server.on("transport", (seen) => events.push(seen, String(server.transport)));
  server.on("ready", () => events.push("ready"));
  expect(server.transport).toBeUndefined();
  const isReady = once(server as never, "ready");
  await server.listen("kinds").ready;
  await isReady;
  expect(events).toEqual([kind, kind, "ready"]);

  const stream = StreamClient(transport).connect("kinds");
  expect(stream.transport).toBeUndefined();
  const seen: TransportKind[] = [];
  stream.on("transport", (kindOfStream) => seen.push(kindOfStream));
  stream.end("there and back");
  const echoed: unknown[] = [];
  for await (const message of stream) echoed.push(message);
  await stream.closed;
  expect(echoed).toEqual(["there and back"]);
  expect([stream.transport, ...seen, ...there]).toEqual([kind, kind, kind]);

  await server.end();
  expect(server.transport).toBeUndefined();
  expect([...intercepted].sort()).toEqual(way === "interceptors" ? ["Accept", "Connect", "Listen", "Unlisten"] : []);
});
