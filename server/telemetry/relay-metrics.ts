import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { collectDefaultMetrics, Registry } from "prom-client";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { nameOf } from "../../stream/error/stream-error.js";
import type { NodeRequest, NodeResponse } from "../http/node-server.js";
import type { NameChange } from "../relay/lease/registry.js";
import type { Relay } from "../relay/relay.js";
import type { CallEnd, RelayEvent } from "../relay/relay-events.js";
import type { StreamEnd } from "../relay/stream/stream-end.js";
import { hopNames } from "./hop-names.js";
import { createInstruments } from "./relay-instruments.js";

/** The status of an answer that makes a connection a WebSocket. */
const switchingProtocols = 101;

/** The relay that is measured, and the numbers of all that it holds. */
export interface MetricsSource {
  relay: Relay;
  counts(): Record<"leases" | "offers" | "streams" | "legs" | "links" | "channels" | "watchers", number>;
}

/** Metrics of a relay and of its process, in the text format of Prometheus. */
export class RelayMetrics {
  readonly #source: MetricsSource;
  readonly #registry = new Registry();
  readonly #instruments = createInstruments(this.#registry);
  readonly #stopObserving: () => void;

  constructor(source: MetricsSource) {
    this.#source = source;
    const { limits, events } = source.relay;
    const { build, limits: limitGauge, suspended, resumed, lost } = this.#instruments;
    build.set({ version: packageVersion(), node: process.version }, 1);
    for (const [limit, value] of Object.entries(limits)) limitGauge.set({ limit }, value);
    // A series that is there from the beginning has a rate at its first increment.
    for (const counter of [suspended, resumed, lost]) for (const of of ["stream", "lease"]) counter.inc({ of }, 0);
    processRegistry();
    this.#stopObserving = events.observe((event) => this.#on(event));
  }

  /** Answers a request with the metrics. */
  readonly handler = (request: NodeRequest, response: NodeResponse): void => {
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.statusCode = 405;
      response.setHeader("allow", "GET, HEAD");
      response.end();
      return;
    }
    this.text().then(
      (text) => {
        response.setHeader("content-type", this.#registry.contentType);
        response.setHeader("cache-control", "no-store");
        // Node itself leaves the body out of an answer to HEAD.
        response.end(text);
      },
      () => {
        response.statusCode = 500;
        response.end();
      },
    );
  };

  /** Resolves with the metrics as they are now. */
  async text(): Promise<string> {
    this.#look();
    return await Registry.merge([this.#registry, processRegistry()]).metrics();
  }

  /** Stops counting. */
  close(): void {
    this.#stopObserving();
  }

  /** Takes over the counts that the relay keeps by itself. */
  #look(): void {
    const { relay } = this.#source;
    const { leases, offers, streams, legs, links, channels, watchers } = this.#source.counts();
    const { suspended, bytes } = relay;
    const gauges = this.#instruments;
    gauges.ready.set(relay.isOpen ? 1 : 0);
    gauges.leases.set({ state: "suspended" }, suspended.leases);
    gauges.leases.set({ state: "attached" }, leases - suspended.leases);
    gauges.streams.set({ state: "suspended" }, suspended.streams);
    gauges.streams.set({ state: "attached" }, streams - suspended.streams);
    gauges.offers.set(offers);
    gauges.legs.set(legs);
    gauges.links.set(links);
    gauges.channels.set(channels);
    gauges.watchers.set(watchers);
    gauges.calls.set(relay.admission.count("gateway call"));
    gauges.heldBytes.set(relay.admission.heldBytes.bytes);
    gauges.bytes.reset();
    for (const from of ["client", "listener"] as const) gauges.bytes.inc({ from }, bytes[from]);
    gauges.warnings.reset();
    for (const [kind, count] of relay.warnings.counts) gauges.warnings.inc({ kind }, count);
  }

  #on(event: RelayEvent): void {
    const { offered, accepted, suspended, resumed, latency, linksOpened, linksEnded, refused } = this.#instruments;
    switch (event.kind) {
      case "lease":
        return this.#onLease(event.change);
      case "stream offered":
        return offered.inc();
      case "stream accepted":
        return accepted.observe(event.waitedMs / 1_000);
      case "stream suspended":
        return suspended.inc({ of: "stream" });
      case "stream adopted":
      case "stream resumed":
        return resumed.inc({ of: "stream" });
      case "stream ended":
        return this.#onStreamEnd(event.end, event.stream.ageMs);
      case "frame relayed":
        return latency.observe(event.latencyMs / 1_000);
      case "link opened":
        return linksOpened.inc();
      case "link ended":
        return linksEnded.inc({ reason: nameOf(event.error.failure, event.error.code) });
      case "call ended":
        return this.#onCallEnd(event);
      case "refused": {
        const { failure, code, hop, limit } = event.error;
        const reason = nameOf(failure, code);
        return refused.inc({ call: event.call, reason, hop: hopNames[hop], limit: limit?.name ?? "" });
      }
    }
  }

  #onLease(change: NameChange): void {
    const { leasesCreated, leasesEnded, suspended, resumed, lost } = this.#instruments;
    switch (change.kind) {
      case "created":
        return leasesCreated.inc();
      case "suspended":
        return suspended.inc({ of: "lease" });
      case "resumed":
        return resumed.inc({ of: "lease" });
      case "destroyed":
        if (change.end === "lost") lost.inc({ of: "lease" });
        return leasesEnded.inc({ reason: change.end });
    }
  }

  #onCallEnd({ status, error, durationMs }: CallEnd): void {
    const { callsEnded, callSeconds } = this.#instruments;
    callsEnded.inc({
      status: status === undefined ? "none" : `${Math.floor(status / 100)}xx`,
      reason: error === undefined ? "finished" : nameOf(error.failure, error.code),
      hop: error === undefined ? "none" : hopNames[error.hop],
    });
    // A WebSocket lasts as long as its client likes.
    if (status !== switchingProtocols) callSeconds.observe(durationMs / 1_000);
  }

  #onStreamEnd({ failure, code, hop }: StreamEnd, ageMs: number): void {
    const { streamsEnded, streamSeconds, lost } = this.#instruments;
    streamsEnded.inc({ reason: code === undefined ? "finished" : nameOf(failure, code), hop: hop ?? "none" });
    streamSeconds.observe(ageMs / 1_000);
    if (failure === Failure.LEG_LOST) lost.inc({ of: "stream" });
  }
}

let processMetrics: Registry | undefined;

/** The metrics of the process, which all relays in it share, because they watch the event loop as long as it runs. */
function processRegistry(): Registry {
  if (processMetrics !== undefined) return processMetrics;
  processMetrics = new Registry();
  collectDefaultMetrics({ register: processMetrics });
  return processMetrics;
}

/** Unknown where the package was bundled into a program. */
function packageVersion(): string {
  try {
    const { name, version } = JSON.parse(readFileSync(findPackageJSON("..", import.meta.url) ?? "", "utf8"));
    return name === "browser-stream-server" ? version : "unknown";
  } catch {
    return "unknown";
  }
}
