import { once } from "node:events";
import { createServer } from "node:http";
import { createClient } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import { StreamClient, StreamServer } from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import { serve } from "browser-stream-server/http";
import { type MetricsServer, relayMetrics, serveMetrics } from "browser-stream-server/server";
import { afterEach, expect, test } from "vitest";
import { Deferred } from "../../../stream/platform/deferred.js";
import { openWay } from "../../chaos/carriers.js";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { rejection } from "../../fakes/outcome.js";
import { openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

/** Long enough for a look at what is suspended, and short enough to wait for the end of it. */
const graceMs = 1_000;
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function measuredRelay(): Promise<{ relay: TestRelay; metrics: MetricsServer }> {
  const relay = await openRelay({ gateway: { by: "path" }, limits: { graceMs, maxWatchers: 1 } });
  closers.push(() => relay.close());
  const metrics = await serveMetrics({ proxy: relay.proxy, port: 0 });
  closers.push(() => metrics.close());
  return { relay, metrics };
}

async function networkTo(relay: TestRelay): Promise<ChaosProxy> {
  const network = await ChaosProxy.open(Number(new URL(relay.origin).port));
  closers.push(() => network.close());
  return network;
}

type Samples = ReadonlyMap<string, number>;

/** The samples in a text of metrics, by the names and labels of their series. */
function samplesOf(text: string): Samples {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(lines.map((line) => [line.replace(/ \S+$/, ""), Number(line.replace(/^.* /, ""))]));
}

async function scrape({ port }: { port: number }, path = "/metrics"): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}${path}`)).text();
}

/** The name of a metric that has the series. */
function metricOf(series: string): string {
  return series.replace(/\{.*/, "").replace(/^(.*_seconds)_(bucket|sum|count)$/, "$1");
}

/** Looks at the metrics of a relay, and remembers which of them were ever above 0. */
class Onlooker {
  readonly names = new Set<string>();
  readonly turned = new Set<string>();
  text = "";
  readonly #metrics: MetricsServer;

  constructor(metrics: MetricsServer) {
    this.#metrics = metrics;
  }

  async look(): Promise<Samples> {
    this.text = await scrape(this.#metrics);
    const samples = samplesOf(this.text);
    // A metric that has no series yet is in the text by its type alone.
    for (const [, name = ""] of this.text.matchAll(/^# TYPE (bss_\S+)/gm)) this.names.add(name);
    for (const [series, value] of samples) if (value > 0) this.turned.add(metricOf(series));
    return samples;
  }

  /** Resolves when each of the series has its value. */
  async sees(expected: Record<string, number>): Promise<void> {
    let latest: Samples = new Map();
    await until(
      async () => {
        latest = await this.look();
        return Object.entries(expected).every(([series, value]) => latest.get(series) === value);
      },
      () => JSON.stringify(Object.fromEntries(Object.keys(expected).map((series) => [series, latest.get(series)]))),
    );
  }
}

test("what a relay does turns each of its metrics, and leaves none at 0", async () => {
  const { relay, metrics } = await measuredRelay();
  const network = await networkTo(relay);
  const onlooker = new Onlooker(metrics);
  await onlooker.sees({ bss_ready: 1, 'bss_limit{limit="graceMs"}': graceMs });

  const brief = StreamServer(relay.origin, () => {}).listen("brief");
  await brief.ready;
  await brief.end();
  await onlooker.sees({ 'bss_leases_ended_total{reason="unlisten"}': 1, 'bss_losses_total{of="lease"}': 0 });

  const serverWay = openWay("websocket", network.origin);
  const server = StreamServer(serverWay.transport, (stream) => {
    stream.on("data", (message) => stream.write(message)).on("error", () => {});
  });
  server.on("error", () => {}).listen("secret-name");
  await server.ready;
  const client = StreamClient(openWay("websocket", network.origin).transport);
  const stream = client.connect("secret-name");
  const echoed = new Promise((resolve) => stream.on("data", resolve).on("error", () => {}));
  stream.write("hello");
  await echoed;
  await onlooker.sees({
    'bss_leases{state="attached"}': 1,
    'bss_streams{state="attached"}': 1,
    bss_legs: 2,
    bss_links: 2,
    bss_channels: 3,
    bss_accept_seconds_count: 1,
  });

  const waiting = client.connect("nobody-yet", { waitForListenerMs: 60_000 });
  waiting.write("for the listener to come");
  await onlooker.sees({ bss_offers: 1 });
  await until(async () => ((await onlooker.look()).get("bss_held_bytes") ?? 0) > 0);
  waiting.destroy();
  await rejection(waiting.closed);
  await onlooker.sees({ 'bss_streams_ended_total{reason="PEER_CANCELED",hop="client"}': 1 });

  const refused = client.connect("nobody");
  await rejection(refused.closed);
  await onlooker.sees({ 'bss_refusals_total{call="connect",reason="NO_SUCH_NAME",hop="relay",limit=""}': 1 });

  const transport = node.createConnectTransport({ baseUrl: relay.url, httpVersion: "2" });
  const watching = new AbortController();
  const watcher = () =>
    createClient(RelayService, transport).watch({}, { signal: watching.signal })[Symbol.asyncIterator]();
  const watch = watcher();
  await watch.next();
  await onlooker.sees({ bss_watchers: 1 });
  await rejection(watcher().next());
  const overLimit = 'call="watch",reason="LIMIT_REACHED",hop="relay",limit="maxWatchers"';
  await onlooker.sees({ [`bss_refusals_total{${overLimit}}`]: 1 });
  watching.abort();
  await rejection(watch.next());

  const called = new Deferred<void>();
  const listener = serve(relay.origin, "secret-page", async () => {
    await called.promise;
    return new Response("", { status: 404 });
  });
  await listener.ready;
  const answer = fetch(`${relay.origin}/~/secret-page/`);
  await onlooker.sees({ bss_gateway_calls: 1 });
  called.resolve();
  await answer;
  await fetch(`${relay.origin}/~/nobody/`);
  await onlooker.sees({
    'bss_gateway_calls_total{status="4xx",reason="finished",hop="none"}': 1,
    'bss_gateway_calls_total{status="5xx",reason="NO_SUCH_NAME",hop="relay"}': 1,
    bss_gateway_call_seconds_count: 2,
    bss_gateway_calls: 0,
  });
  await listener.end();

  await fetch(`${relay.origin}/elsewhere/streamserver.v1.RelayService/List`, { method: "POST" });
  await onlooker.sees({ 'bss_warnings_total{kind="path-unknown"}': 1 });

  network.begin("away");
  await onlooker.sees({ 'bss_leases{state="suspended"}': 1, 'bss_streams{state="suspended"}': 1 });
  network.heal();
  await onlooker.sees({ 'bss_leases{state="attached"}': 1, 'bss_streams{state="attached"}': 1 });
  network.begin("away");
  await onlooker.sees({ 'bss_losses_total{of="lease"}': 1, 'bss_losses_total{of="stream"}': 1 });
  network.heal();
  await Promise.all([rejection(stream.closed), server.end()]);

  await onlooker.look();
  expect([...onlooker.names].filter((name) => !onlooker.turned.has(name))).toEqual([]);
  expect(onlooker.names).toContain("bss_refusals_total");
  expect(onlooker.text).not.toMatch(/secret-name|secret-page|nobody/);
}, 60_000);

test("the delay of the event loop is measured", async () => {
  const { metrics } = await measuredRelay();
  await scrape(metrics);
  // The watch for delays begins when the first timer of it was due.
  await new Promise((resolve) => setTimeout(resolve, 30));
  const untilMs = performance.now() + 300;
  while (performance.now() < untilMs);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const delaySeconds = samplesOf(await scrape(metrics)).get("nodejs_eventloop_lag_p99_seconds");
  expect(delaySeconds).toBeGreaterThan(0.2);
});

test("the port of the metrics has the probes of the relay, and nothing else", async () => {
  const { relay, metrics } = await measuredRelay();
  const status = async (path: string, method = "GET") =>
    (await fetch(`http://127.0.0.1:${metrics.port}${path}`, { method })).status;
  expect(await Promise.all(["/healthz", "/readyz", "/metrics", "/"].map((path) => status(path)))).toEqual([
    200, 200, 200, 404,
  ]);
  expect(await status("/metrics", "POST")).toBe(405);
  await relay.proxy.drain({ timeoutMs: 0 });
  expect(await Promise.all(["/healthz", "/readyz"].map((path) => status(path)))).toEqual([200, 503]);
  expect(samplesOf(await scrape(metrics)).get("bss_ready")).toBe(0);
});

test("two relays of a process are counted apart, and metrics that were closed count no more", async () => {
  const relay = await openRelay();
  closers.push(() => relay.close());
  const texts: string[] = [];
  const answers = async (metrics: Awaited<ReturnType<typeof relayMetrics>>) => {
    const server = createServer(metrics.handler).listen(0, "127.0.0.1");
    await once(server, "listening");
    texts.push(await scrape(server.address() as { port: number }, "/anywhere"));
    server.close().closeAllConnections();
    await once(server, "close");
  };
  const [first, second] = [await relayMetrics(relay.proxy), await relayMetrics(relay.proxy)];
  first.close();
  await rejection(relay.proxy.connect("nobody").closed);
  await answers(first);
  await answers(second);
  second.close();
  expect(texts.map((text) => text.includes("bss_refusals_total{"))).toEqual([false, true]);
});
