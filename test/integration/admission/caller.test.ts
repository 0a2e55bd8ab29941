import type { Interceptor, Transport } from "@connectrpc/connect";
import { createGrpcTransport, createConnectTransport as createNodeTransport } from "@connectrpc/connect-node";
import { createConnectTransport as createWebTransport } from "@connectrpc/connect-web";
import { Code, Failure, type Stream, StreamClient, StreamServer, type TransportLike } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { linkProtocol } from "../../../link/packet/link-message.js";
import type { LinkSocketLike } from "../../../web/link/websocket-link.js";
import { openWebSocketTransport } from "../../../web/transport/websocket-transport.js";
import { rejection } from "../../fakes/outcome.js";
import { readmeBlocks } from "../../readme.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";

const page = "https://app.example";
const forged = "https://forged.example";
let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay({ origins: [page] });
});

afterEach(() => holdsNothing(relay, "links"));
afterAll(() => relay.close());

/** Gives every RPC an Origin header. */
function withOrigin(origin: string): Interceptor {
  return (next) => (request) => {
    request.header.set("origin", origin);
    return next(request);
  };
}

/** A link over a WebSocket that was opened as the page of an origin opens it. */
function socketOf(origin: string, interceptors: Interceptor[] = []): Transport {
  return openWebSocketTransport({ baseUrl: relay.url, interceptors }, () => (url) => {
    return new WebSocket(url, linkProtocol, { headers: { origin } }) as unknown as LinkSocketLike;
  });
}

/** A client's way to the relay, and the origin that its listener sees. */
const ways: [way: string, origin: string, connect: (name: string) => Stream][] = [
  ["a WebSocket with an Origin header", page, connectOver(() => socketOf(page))],
  ["a WebSocket whose calls name another origin", page, connectOver(() => socketOf(page, [withOrigin(forged)]))],
  ["fetch with an Origin header", page, connectOver(() => createWebTransport(httpOptions()))],
  ["Connect over HTTP/2 with an Origin header", page, connectOver(() => createNodeTransport(http2Options()))],
  ["gRPC over HTTP/2 with an Origin header", page, connectOver(() => createGrpcTransport(http2Options()))],
  [
    "JSON over HTTP/2 with an Origin header",
    page,
    connectOver(() => createNodeTransport({ ...http2Options(), useBinaryFormat: false })),
  ],
  ["a base URL in Node", "", connectOver(() => relay.origin)],
  ["the relay's own process", "", (name) => relay.proxy.connect(name)],
];

function httpOptions() {
  return { baseUrl: relay.url, interceptors: [withOrigin(page)] };
}

function http2Options() {
  return { ...httpOptions(), httpVersion: "2" as const };
}

function connectOver(transport: () => TransportLike): (name: string) => Stream {
  return (name) => StreamClient(transport()).connect(name);
}

describe("Stream.caller", () => {
  test.each(ways)("tells a listener the origin of a client over %s", async (_way, origin, connect) => {
    const callers: Stream["caller"][] = [];
    const server = StreamServer(relay.origin, (stream) => {
      callers.push(stream.caller);
      stream.end().resume();
    }).listen("caller");
    await server.ready;
    const stream = connect("caller");
    expect(stream.caller).toBeUndefined();
    stream.end().resume();
    await stream.closed;
    expect(callers).toEqual([{ origin, subject: "", name: "", meta: {}, viaGateway: false }]);
    await server.end();
  });

  test("lets the README's listener tell pages apart", async () => {
    const sample = readmeBlocks("js").find((block) => block.includes("stream.caller")) ?? "";
    const runSample = new Function("StreamServer", "Code", "relay", `${sample}\nreturn server;`);
    const server: StreamServer = runSample(StreamServer, Code, relay.origin).listen("door");
    await server.ready;
    const welcomed = StreamClient(socketOf(page)).connect("door");
    welcomed.end();
    const heard: unknown[] = [];
    for await (const message of welcomed) heard.push(message);
    expect(heard).toEqual(["welcome"]);
    const declined = StreamClient(relay.origin).connect("door");
    expect(await rejection(declined.closed)).toMatchObject({
      code: Code.PermissionDenied,
      failure: Failure.DECLINED,
    });
    await server.end();
  });
});
