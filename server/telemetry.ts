import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { described, knownOptions } from "./admission/known-options.js";
import type { NodeRequest, NodeResponse } from "./http/node-server.js";
import { answerProbes } from "./http/probes.js";
import { pathOf } from "./http/request/request-urls.js";
import { relayOf, type StreamServerProxy } from "./stream-server-proxy.js";
import { RelayLog, type RelayLogger } from "./telemetry/relay-log.js";

export type { RelayLogger };

/** Metrics of a relay and of its process. The caller must close them. */
export interface RelayMetrics {
  /** Answers GET and HEAD with the metrics, in the text format of Prometheus, and any other method with 405. */
  readonly handler: (request: NodeRequest, response: NodeResponse) => void;
  /** Stops counting. */
  close(): void;
}

export interface MetricsServerOptions {
  /** The relay that is measured. */
  proxy: StreamServerProxy;
  /** From 0 to 65535; 0 is any port that is free. */
  port: number;
  /** Default 127.0.0.1, because whoever reaches the address reads the metrics. */
  host?: string | undefined;
}

/** Metrics on a port of their own. The caller must close it. */
export interface MetricsServer {
  /** The port that is listened on, also where the option was 0. */
  readonly port: number;
  /** Resolves when the port is free; never rejects. */
  close(): Promise<void>;
}

/**
 * Counts what a relay does from now on, for a path of a server of yours, behind a guard of yours. It loads
 * `prom-client`.
 *
 * - Resolves with the handler of the path, and with `close`, which the caller must call.
 *
 * @example
 * const metrics = await relayMetrics(proxy);
 * app.get("/metrics", onlyOperators, metrics.handler);
 */
export async function relayMetrics(proxy: StreamServerProxy): Promise<RelayMetrics> {
  const relay = relayOf(proxy);
  const { RelayMetrics: Metrics } = await import("./telemetry/relay-metrics.js");
  return new Metrics({ relay, counts: () => proxy.counts });
}

/**
 * Serves the metrics of a relay on a port of their own, under `/metrics`, with `/healthz` and `/readyz` beside them.
 *
 * - Resolves when the port is open. The caller must call `close()`; it does not end the relay.
 * - Rejects with the system's error if the port cannot be had, with a TypeError for an unknown option or one of a wrong
 *   type, and with a RangeError for a port that cannot be.
 *
 * @example
 * const metrics = await serveMetrics({ proxy, port: 9464 });
 */
export async function serveMetrics(options: MetricsServerOptions): Promise<MetricsServer> {
  const { proxy, port, host = "127.0.0.1" } = checkedOptions(options);
  const metrics = await relayMetrics(proxy);
  const answer = answerProbes(
    () => proxy.isReady,
    (request, response) => {
      if (pathOf(request.url ?? "") === "/metrics") return metrics.handler(request, response);
      response.statusCode = 404;
      response.end();
    },
  );
  const server = createServer(answer);
  try {
    await new Promise<void>((resolve, reject) => server.once("error", reject).listen({ port, host }, resolve));
  } catch (reason) {
    metrics.close();
    throw reason;
  }
  // A server that listens emits no other error than that of a connection that cannot be accepted.
  server.on("error", () => {});
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      metrics.close();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/**
 * Writes a line of fields to a logger, such as one of `pino`, for each name that is claimed, suspended, resumed and
 * released, each stream that is offered, accepted, suspended, resumed and ended, each link, each call that is refused,
 * and each act of an operator.
 *
 * - Of refusals, of links, and of endpoints that go and come back, at most 100 each in a second have a line; the next
 *   one says how many had none.
 * - A line has ids, the reason, the hop, bytes, the duration and the caller. It has no token, no metadata, no message
 *   and no words of applications.
 * - `name`, `message`, `subject`, `tokenId` and `caller.origin` have text from outside, as it came. A logger that does
 *   not write JSON has to escape it.
 * - Returns a function that stops it.
 *
 * @example
 * const stop = logRelay(proxy, pino());
 */
export function logRelay(proxy: StreamServerProxy, logger: RelayLogger): () => void {
  if (typeof logger?.info !== "function") throw new TypeError(`a logger has a function info, not ${described(logger)}`);
  const { events, warnings, clock, limits } = relayOf(proxy);
  const log = new RelayLog({ logger, clock, graceMs: limits.graceMs });
  return events.observe((event) => {
    try {
      log.write(event);
    } catch (error) {
      warnings.warn({ kind: "listener-failed", event: "log", error }, "the logger of the relay failed");
    }
  });
}

/**
 * Traces the streams of a relay with OpenTelemetry, by the tracer provider and the propagator that are registered: a
 * span for each, from its offer to its end. It loads `@opentelemetry/api`, which has to be installed.
 *
 * - A client's context comes with the metadata of its stream, as `propagation.inject(context.active(), metadata)` puts
 *   it there. The listener's `stream.metadata` has it with the relay's span as the parent, for `propagation.extract`.
 * - Resolves with a function that stops it. Rejects with a RangeError if the relay is traced already.
 *
 * @example
 * const stop = await traceRelay(proxy);
 */
export async function traceRelay(proxy: StreamServerProxy): Promise<() => void> {
  const relay = relayOf(proxy);
  const { StreamTracer } = await import("./telemetry/stream-tracer.js");
  const tracer = new StreamTracer();
  const stops = [relay.trace(tracer), relay.events.observe((event) => tracer.on(event))];
  return () => {
    for (const stop of stops) stop();
    tracer.close();
  };
}

function checkedOptions(options: MetricsServerOptions): MetricsServerOptions {
  const checked = knownOptions("options of serveMetrics", options, ["proxy", "port", "host"]);
  const { proxy, port, host } = checked;
  if (typeof proxy?.install !== "function") {
    throw new TypeError(`the proxy is what StreamServerProxy() makes, not ${described(proxy)}`);
  }
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`the port is a whole number from 0 to 65535, not ${described(port)}`);
  }
  if (host !== undefined && typeof host !== "string") {
    throw new TypeError(`the host is a string, not ${described(host)}`);
  }
  return checked;
}
