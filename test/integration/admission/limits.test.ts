import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Code, Failure, Hop, StreamClient, StreamServer } from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import { describe, expect, onTestFinished, test } from "vitest";
import { serveRelay } from "../../../server/relay-server.js";
import { relayOf, StreamServerProxy } from "../../../server/stream-server-proxy.js";
import { rejection } from "../../fakes/outcome.js";
import { refusal, refused } from "../raw-calls.js";
import { holdsNothing, openRelay, selfSigned } from "../relay-ports.js";
import { until } from "../until.js";
import { allWays } from "../ways.js";

describe.each(Object.entries(allWays))("A limit, over %s,", (_way, open) => {
  test("is told to whoever meets it: which, its value, and when to try again", async () => {
    const relay = await openRelay({ limits: { maxNames: 1, maxOffersPerName: 1 } });
    onTestFinished(() => relay.close());
    const { transport, close } = open(relay.url);
    const server = StreamServer(transport, () => new Promise(() => {})).listen("room");
    await server.ready;
    const waiting = StreamClient(transport).connect("room");
    const refusals = [
      await rejection(StreamServer(transport).listen("other").ready),
      await rejection(StreamClient(transport).connect("room").opened),
    ];
    const common = { failure: Failure.LIMIT_REACHED, code: Code.ResourceExhausted, hop: Hop.RELAY };
    expect(refusals).toMatchObject([
      { ...common, limit: { name: "maxNames", value: 1, retryAfterMs: 1_000 } },
      { ...common, limit: { name: "maxOffersPerName", value: 1, retryAfterMs: 1_000 } },
    ]);
    waiting.on("error", () => {}).destroy();
    await server.end();
    close();
    await holdsNothing(relay, "links");
  });
});

describe("maxCalls", () => {
  const silent = ["streamserver.v1.RelayService/Connect", "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"];

  test.each([
    ["Connect", createConnectTransport],
    ["gRPC", createGrpcTransport],
    ["gRPC-Web", createGrpcWebTransport],
  ])("counts calls that have sent nothing, and refuses one more in the protocol %s", async (_name, createTransport) => {
    const proxy = StreamServerProxy({ limits: { maxCalls: silent.length } });
    const server = await serveRelay({ proxy, port: 0, host: "127.0.0.1" });
    onTestFinished(() => server.close());
    const origin = `http://127.0.0.1:${server.port}`;
    const { admission } = relayOf(proxy);
    const session = connectHttp2(origin);
    onTestFinished(() => session.destroy());
    const calls = silent.map((rpc) => {
      const path = `${proxy.prefixes[0]}/${rpc}`;
      const headers = { ":method": "POST", ":path": path, "content-type": "application/connect+proto" };
      return session.request(headers, { endStream: false });
    });
    const counted = () => admission.count("call") + admission.count("reflection call");
    await until(() => counted() === calls.length);
    expect(admission.count("reflection call")).toBe(1);
    const client = createClient(
      RelayService,
      createTransport({ baseUrl: origin + proxy.prefixes[0], httpVersion: "2" }),
    );
    async function* nothing() {
      await new Promise(() => {});
    }
    const full = refusal(Code.ResourceExhausted, Failure.LIMIT_REACHED);
    const more = [client.list({}), client.listen({ name: "room" }), client.connect(nothing())];
    expect(await Promise.all(more.map(refused))).toEqual([full, full, full]);
    for (const call of calls) call.close();
    await until(() => counted() === 0);
    expect(await client.list({})).toMatchObject({ names: [] });
    await until(() => counted() === 0);
  });
});

describe("A limit of one caller", () => {
  test.each(["192.0.2.1", "127.0.0.1"])("is that of the address %s that a trusted proxy says", async (address) => {
    const limits = { maxNamesPerCaller: 1, maxCallsPerSecondPerCaller: 1 };
    const relay = await openRelay({ limits, trustedProxies: ["127.0.0.1"] });
    onTestFinished(() => relay.close());
    const from = (forwarded: string) =>
      createConnectTransport({
        baseUrl: relay.url,
        httpVersion: "2",
        interceptors: [
          (next) => (request) => {
            request.header.set("x-forwarded-for", forwarded);
            return next(request);
          },
        ],
      });
    const [first, second] = [from(address), from("192.0.2.2")];
    const servers = [StreamServer(first).listen("a"), StreamServer(second).listen("b")];
    await Promise.all(servers.map(({ ready }) => ready));
    expect((await rejection(StreamServer(first).listen("c").ready)).limit?.name).toBe("maxNamesPerCaller");
    const lists = Array.from({ length: 40 }, () => createClient(RelayService, first).list({}));
    const refusal = await rejection(Promise.all(lists));
    expect(refusal.limit).toMatchObject({ name: "maxCallsPerSecondPerCaller", value: 1 });
    expect(refusal.limit?.retryAfterMs).toBeGreaterThan(0);
    await createClient(RelayService, second).list({});
    await Promise.all(servers.map((server) => server.end()));
  });

  test.each([
    ["plain", undefined],
    ["of TLS", selfSigned()],
  ])("counts the connections to a port, %s", async (_what, tls) => {
    const proxy = StreamServerProxy();
    const server = await serveRelay({ proxy, port: 0, host: "127.0.0.1", tls });
    onTestFinished(() => server.close());
    const { admission } = relayOf(proxy);
    const socket = connect(server.port, "127.0.0.1");
    await until(() => admission.count("connection") === 1);
    socket.destroy();
    await until(() => admission.count("connection") === 0);
  });
});
