import type { ConnectError } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { createWebSocketTransport, StreamClient, StreamServer, type TransportLike } from "browser-stream-server";
import { logRelay } from "browser-stream-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rejection } from "../../fakes/outcome.js";
import { openRelay, type TestRelay } from "../relay-ports.js";

const lines: Record<string, unknown>[] = [];
let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay();
  logRelay(relay.proxy, { info: (fields) => lines.push(fields) });
});
afterAll(() => relay.close());

const http2 = () => ({ baseUrl: relay.url, httpVersion: "2" as const });
const ways: [way: string, open: () => TransportLike][] = [
  ["the package's own HTTP/2", () => relay.origin],
  ["a link over a WebSocket", () => createWebSocketTransport({ baseUrl: relay.url })],
  ["a link over fetch", () => createConnectTransport({ baseUrl: relay.url })],
  ["gRPC-Web over a link", () => createGrpcWebTransport({ baseUrl: relay.url })],
  ["Connect", () => node.createConnectTransport(http2())],
  ["Connect with JSON", () => node.createConnectTransport({ ...http2(), useBinaryFormat: false })],
  ["gRPC", () => node.createGrpcTransport(http2())],
];

describe.each(ways)("over %s", (_, open) => {
  test("the error of a call that was refused has the id that the log has", async () => {
    lines.length = 0;
    const transport = open();
    const connecting = await rejection(StreamClient(transport).connect("nobody").closed);
    const listening = await rejection(
      StreamServer(transport)
        .on("error", () => {})
        .listen("x".repeat(300)).ready,
    );
    const ids = [connecting, listening].map(({ cause }) => (cause as ConnectError).metadata.get("error-id"));
    const logged = lines.filter(({ event }) => event === "refused").map(({ errorId }) => errorId);
    expect(ids).toEqual(logged);
    expect(new Set(ids).size).toBe(2);
  });
});
