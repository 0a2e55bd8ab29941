import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/**
 * The metrics of a relay, in a registry. No label has a value that a caller chooses, so the number of time series is
 * bounded: by the failures, the status codes, the calls and the limits that there are.
 */
export function createInstruments(registry: Registry) {
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Gauge({ name, help, labelNames, registers });
  const counter = <L extends string>(name: string, help: string, ...labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, buckets, registers });
  return {
    build: gauge("bss_build_info", "1, with the versions of the package and of Node.", "version", "node"),
    limits: gauge("bss_limit", "The limits of the relay.", "limit"),
    ready: gauge("bss_ready", "1 as long as the relay takes new names and streams."),
    leases: gauge("bss_leases", "Names that are held, by whether their listeners are there.", "state"),
    offers: gauge("bss_offers", "Streams that wait for a listener to accept them."),
    streams: gauge("bss_streams", "Accepted streams, by whether both endpoints are there.", "state"),
    legs: gauge("bss_legs", "Open Connect and Accept calls."),
    links: gauge("bss_links", "Open links."),
    channels: gauge("bss_channels", "Open channels of all links."),
    watchers: gauge("bss_watchers", "Open Watch calls."),
    heldBytes: gauge("bss_held_bytes", "Bytes that wait in the relay to be read."),
    leasesCreated: counter("bss_leases_created_total", "Names that were claimed."),
    leasesEnded: counter("bss_leases_ended_total", "Leases that have ended, by reason.", "reason"),
    offered: counter("bss_offers_total", "Streams that were offered to a listener, or to one to come."),
    accepted: histogram(
      "bss_accept_seconds",
      "Time from the offer of a stream until its listener accepted it.",
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    ),
    streamsEnded: counter(
      "bss_streams_ended_total",
      "Streams and offers that have ended, by reason and by the side that ended them.",
      "reason",
      "hop",
    ),
    streamSeconds: histogram(
      "bss_stream_seconds",
      "Time from the offer of a stream until its end.",
      [0.1, 1, 10, 60, 600, 3_600, 21_600, 86_400],
    ),
    suspended: counter("bss_suspensions_total", "Times that a stream or a lease has lost a connection.", "of"),
    resumed: counter("bss_resumes_total", "Times that a stream or a lease was taken up again.", "of"),
    lost: counter("bss_losses_total", "Streams and leases that ended because an endpoint was lost.", "of"),
    linksOpened: counter("bss_links_opened_total", "Links that were opened."),
    linksEnded: counter("bss_links_ended_total", "Links that have ended, by reason.", "reason"),
    calls: gauge("bss_gateway_calls", "Calls and WebSockets of the gateway that are under way."),
    callsEnded: counter(
      "bss_gateway_calls_total",
      "Calls and WebSockets of the gateway that have ended, by the class of the answer's status, by reason and by hop.",
      "status",
      "reason",
      "hop",
    ),
    callSeconds: histogram(
      "bss_gateway_call_seconds",
      "Time from a call of the gateway until the end of its answer.",
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 600],
    ),
    bytes: counter("bss_relayed_bytes_total", "Bytes of frames that the relay has taken, by their sender.", "from"),
    latency: histogram(
      "bss_relay_latency_seconds",
      "Time from the arrival of a frame until the carrier of the peer's leg had it, for one frame in 64.",
      [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5],
    ),
    refused: counter(
      "bss_refusals_total",
      "Calls that were refused, by reason and hop, and by the limit that they have met.",
      "call",
      "reason",
      "hop",
      "limit",
    ),
    warnings: counter("bss_warnings_total", "Troubles that the relay has warned of, by kind.", "kind"),
  };
}
