import { context, propagation, type SpanContext, SpanStatusCode, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { Code, StreamClient, StreamServer } from "browser-stream-server";
import { traceRelay } from "browser-stream-server/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { rejection } from "../../fakes/outcome.js";
import { openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";

const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
let relay: TestRelay;
let stop: () => void;

beforeAll(async () => {
  trace.setGlobalTracerProvider(provider);
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  relay = await openRelay();
});

beforeEach(async () => {
  exporter.reset();
  stop = await traceRelay(relay.proxy);
});

afterEach(() => stop());

afterAll(async () => {
  await relay.close();
  await provider.shutdown();
  trace.disable();
  propagation.disable();
});

/** The metadata of a client in a span of its own, and that span. */
function traced(): { metadata: Record<string, string>; client: SpanContext } {
  const span = trace.getTracer("client").startSpan("call");
  const metadata: Record<string, string> = { user: "one" };
  propagation.inject(trace.setSpan(context.active(), span), metadata);
  return { metadata, client: span.spanContext() };
}

/** The span of the relay, once it has ended. */
async function streamSpan() {
  await until(() => exporter.getFinishedSpans().length > 0);
  const [span] = exporter.getFinishedSpans();
  if (span === undefined) throw new Error("no span");
  return span;
}

describe("traceRelay", () => {
  test("carries the context of a client through the relay to its listener", async () => {
    const heard: Record<string, string>[] = [];
    const server = StreamServer(relay.origin, (stream) => {
      heard.push(stream.metadata);
      stream.on("error", () => {}).end("hello");
    });
    await server.listen("name").ready;
    const { metadata, client } = traced();
    const stream = StreamClient(relay.origin).connect("name", { metadata });
    stream.end("hello");
    for await (const _ of stream);
    await stream.closed;
    await server.end();
    const span = await streamSpan();
    expect(span).toMatchObject({
      name: "stream",
      parentSpanContext: { traceId: client.traceId, spanId: client.spanId },
      attributes: { "bss.stream.id": stream.id, "bss.name": "name", "bss.bytes.client": expect.any(Number) },
      status: { code: SpanStatusCode.UNSET },
    });
    expect(span.events.map(({ name }) => name)).toEqual(["stream accepted"]);
    const [atListener = {}] = heard;
    expect(atListener.user).toBe("one");
    const { traceId, spanId } = span.spanContext();
    expect(atListener.traceparent).toBe(`00-${traceId}-${spanId}-01`);
  });

  test("has an error in the span of a stream that was declined, and a trace of its own where the client has none", async () => {
    const server = StreamServer(relay.origin, (stream) => stream.reject(Code.PermissionDenied, "a secret"));
    await server.listen("name").ready;
    const stream = StreamClient(relay.origin).connect("name");
    await rejection(stream.closed);
    await server.end();
    const span = await streamSpan();
    expect(span).toMatchObject({
      parentSpanContext: undefined,
      attributes: { "bss.reason": "DECLINED", "bss.hop": "listener" },
      status: { code: SpanStatusCode.ERROR },
    });
    expect(JSON.stringify([span.attributes, span.status])).not.toContain("secret");
  });

  test("ends the span of a stream that could not be offered, and of those that live when it is stopped", async () => {
    const full = await openRelay({ limits: { maxWaitingOffers: 1 } });
    const stopFull = await traceRelay(full.proxy);
    await expect(traceRelay(full.proxy)).rejects.toThrow(RangeError);
    const connect = () => StreamClient(full.origin).connect("nobody", { waitForListenerMs: 60_000 });
    const waiting = connect().on("error", () => {});
    await until(() => full.proxy.counts.offers === 1);
    await rejection(connect().closed);
    expect((await streamSpan()).attributes).toMatchObject({ "bss.reason": "LIMIT_REACHED", "bss.hop": "relay" });
    stopFull();
    expect(exporter.getFinishedSpans()).toHaveLength(2);
    waiting.destroy();
    await rejection(waiting.closed);
    await full.close();
  });
});
