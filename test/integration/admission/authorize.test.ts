import { createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, createConnectTransport as createNodeTransport } from "@connectrpc/connect-node";
import { createConnectTransport as createWebTransport } from "@connectrpc/connect-web";
import { Code, Failure, Hop, type Stream, StreamClient, StreamError, StreamServer } from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import type { Authorize, AuthorizeRequest } from "browser-stream-server/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { linkProtocol } from "../../../link/packet/link-message.js";
import type { LinkSocketLike } from "../../../web/link/websocket-link.js";
import { openWebSocketTransport } from "../../../web/transport/websocket-transport.js";
import { rejection } from "../../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

let relay: TestRelay;
const asked: AuthorizeRequest[] = [];

const shows = (name: string) => name !== "hidden";
/** Knows one token, "ann". */
const policy: Authorize = ({ token }) => {
  if (token === "ann") return { subject: "ann", name: "Ann", meta: { team: "a" }, metadata: { role: "owner" }, shows };
  throw new StreamError(`nobody knows ${token || "a caller without a token"}`, { code: Code.Unauthenticated });
};
const authorize: Authorize = (request) => {
  asked.push(request);
  // Every second answer takes a while.
  return asked.length % 2 === 0
    ? new Promise((resolve) => setImmediate(resolve)).then(() => policy(request))
    : policy(request);
};

beforeAll(async () => {
  relay = await openRelay({ authorize, trustedProxies: ["127.0.0.1"] });
});
beforeEach(() => void asked.splice(0));
afterEach(() => holdsNothing(relay, "links"));
afterAll(() => relay.close());

function withToken(token: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    request.header.set("x-forwarded-for", "203.0.113.1");
    return next(request);
  };
}

function httpOptions(token: string) {
  return { baseUrl: relay.url, interceptors: [withToken(token)] };
}

function http2Options(token: string) {
  return { ...httpOptions(token), httpVersion: "2" as const };
}

const headers = { "x-forwarded-for": "203.0.113.2" };
const openWebSocket = (url: string) => new WebSocket(url, linkProtocol, { headers }) as unknown as LinkSocketLike;

/** The ways to a relay, each with the door by which its calls come, and the address that a proxy says. */
const ways: [way: string, door: "link" | "http", address: string, transport: (token: string) => Transport][] = [
  ["a WebSocket", "link", "203.0.113.2", (token) => openWebSocketTransport(httpOptions(token), () => openWebSocket)],
  ["fetch", "link", "203.0.113.1", (token) => createWebTransport(httpOptions(token))],
  ["Connect over HTTP/2", "http", "203.0.113.1", (token) => createNodeTransport(http2Options(token))],
  ["gRPC over HTTP/2", "http", "203.0.113.1", (token) => createGrpcTransport(http2Options(token))],
  [
    "JSON over HTTP/2",
    "http",
    "203.0.113.1",
    (token) => createNodeTransport({ ...http2Options(token), useBinaryFormat: false }),
  ],
];

describe.each(ways)("authorize, over %s,", (_way, door, address, transport) => {
  test("is asked for each call, and tells the listener who is there", async () => {
    const caller = { origin: "", address, door, isForwarded: true };
    const callers: Pick<Stream, "caller" | "metadata">[] = [];
    const server = StreamServer(transport("ann"), (stream) => {
      callers.push({ caller: stream.caller, metadata: stream.metadata });
      stream.end().resume();
    }).listen("room");
    await server.ready;
    const metadata = { color: "red", role: "guest" };
    const stream = StreamClient(transport("ann")).connect("room", { metadata });
    stream.end().resume();
    await stream.closed;
    expect(callers).toEqual([
      {
        caller: { origin: "", subject: "ann", name: "Ann", meta: { team: "a" }, viaGateway: false },
        metadata: { color: "red", role: "owner" },
      },
    ]);
    expect(asked).toEqual([
      { action: "listen", name: "room", token: "ann", caller, metadata: {} },
      { action: "connect", name: "room", token: "ann", caller, metadata },
    ]);
    await server.end();
  });

  test("refuses to listen, to connect, to list and to watch, with its own code and reason", async () => {
    const client = createClient(RelayService, transport("bob"));
    const watch = async () => {
      for await (const _event of client.watch({ prefix: "r" })) throw new Error("the relay let the caller in");
    };
    const refusals = await Promise.all([
      rejection(StreamServer(transport("bob")).listen("room").ready),
      rejection(StreamClient(transport("bob")).connect("room").opened),
      rejection(client.list({ prefix: "r" })),
      rejection(watch()),
    ]);
    const refusal = {
      code: Code.Unauthenticated,
      failure: Failure.NOT_PERMITTED,
      hop: Hop.RELAY,
      message: "nobody knows bob",
    };
    expect(refusals).toMatchObject([refusal, refusal, refusal, refusal]);
    expect(asked.map(({ action, name }) => `${action} ${name}`).sort()).toEqual([
      "connect room",
      "list r",
      "list r",
      "listen room",
    ]);
  });
});

test("authorize shows of the names that are listed those that it grants", async () => {
  const [, , , transport] = ways[2] as (typeof ways)[number];
  const names = ["hidden", "shown"];
  const servers = names.map((name) => StreamServer(transport("ann"), { listed: true }).listen(name));
  await Promise.all(servers.map(({ ready }) => ready));
  const client = createClient(RelayService, transport("ann"));
  expect(await client.list({})).toMatchObject({ names: ["shown"] });
  const told: unknown[] = [];
  for await (const { event } of client.watch({})) {
    if (event.case === "current") break;
    told.push(event);
  }
  expect(told).toMatchObject([{ case: "created", value: { name: "shown" } }]);
  await Promise.all(servers.map((server) => server.end()));
});

test("authorize is not asked about this process, whose listener hears that nothing is verified", async () => {
  const server = StreamServer(ways[2]?.[3]("ann") as Transport, (stream) => void stream.end().resume()).listen("room");
  await server.ready;
  const stream = relay.proxy.connect("room", { metadata: { role: "guest" } });
  stream.end().resume();
  await stream.closed;
  expect(asked.map(({ action }) => action)).toEqual(["listen"]);
  await server.end();
});
