import { type ConnectError, createClient } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  createWebSocketTransport,
  type ReachedLimit,
  StreamClient,
  StreamServer,
  type TransportLike,
} from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import { logRelay } from "browser-stream-server/server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Health } from "../../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.js";
import type { RelayLimits } from "../../../server/admission/limits.js";
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

describe("a call for which the relay has no room", () => {
  async function open(limits: Partial<RelayLimits>) {
    const full = await openRelay({ limits });
    const refusals: Record<string, unknown>[] = [];
    logRelay(full.proxy, { info: (fields) => fields.event === "refused" && refusals.push(fields) });
    const abort = new AbortController();
    onTestFinished(async () => {
      abort.abort();
      await full.close();
    });
    const transport = node.createGrpcTransport({ baseUrl: full.url });
    const { signal } = abort;
    return { refusals, transport, signal };
  }

  const first = (answers: AsyncIterable<unknown>) => answers[Symbol.asyncIterator]().next();
  const none = () => (async function* () {})();
  const idOf = async (answer: Promise<unknown>) =>
    ((await rejection(answer)).cause as ConnectError).metadata.get("error-id");

  test("has the id that the log has, whatever it calls", async () => {
    const { transport, signal, refusals } = await open({ maxCalls: 1 });
    const relay = createClient(RelayService, transport);
    await first(relay.watch({}, { signal }));
    const ids = [
      await idOf(relay.list({})),
      await idOf(first(relay.connect(none()))),
      await idOf(createClient(Health, transport).check({})),
      await idOf(first(createClient(ServerReflection, transport).serverReflectionInfo(none()))),
    ];
    expect(refusals.map(({ call, reason, limit }) => [call, reason, (limit as ReachedLimit).name])).toEqual(
      ["list", "connect", "health", "reflection"].map((call) => [call, "LIMIT_REACHED", "maxCalls"]),
    );
    expect(ids).toEqual(refusals.map(({ errorId }) => errorId));
  });

  test("has it also when it watches the health, whose protocol has no details", async () => {
    const { transport, signal, refusals } = await open({ maxWatchers: 1 });
    const health = createClient(Health, transport);
    await first(health.watch({}, { signal }));
    const errorId = await idOf(first(health.watch({}, { signal })));
    expect(refusals).toMatchObject([{ call: "health", limit: { name: "maxWatchers" }, errorId }]);
  });
});
