import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type EndpointReportSchema,
  LegState,
  type NameReportSchema,
  type ShowRequest,
  type ShowResponseSchema,
  type StreamReportSchema,
  StreamState,
  type TotalsSchema,
} from "../../gen/streamserver/v1/admin_pb.js";
import { Feature } from "../../gen/streamserver/v1/relay_pb.js";
import { atIntervals } from "../../link/at-intervals.js";
import type { Lease } from "../relay/lease/lease.js";
import type { Relay } from "../relay/relay.js";
import type { Half, Role } from "../relay/stream/half.js";
import type { Splice } from "../relay/stream/splice.js";
import { callerReport } from "./caller-report.js";
import { EndpointTrend } from "./endpoint-trend.js";
import { RefusalCounts } from "./refusal-counts.js";
import { type StreamWait, streamWait } from "./stream-wait.js";

/** The interval of looks. A look at 10,000 streams takes about 20 ms. */
export const lookIntervalMs = 1_000;

/** Names and streams of one answer: so many, unless the request says how many, and no more than the other. */
const defaultReports = 100;
export const maxReports = 1_000;

/** The numbers of what the relay's rooms hold around it. */
export interface SurveyCounts {
  links: number;
  channels: number;
  watchers: number;
}

type Trends = Readonly<Record<Role, EndpointTrend>>;

const stateOf: Readonly<Record<Splice["kind"], StreamState>> = {
  unoffered: StreamState.OFFERED,
  offered: StreamState.OFFERED,
  spliced: StreamState.ACCEPTED,
  lingering: StreamState.FINISHING,
  ended: StreamState.ENDED,
};

const legStateOf: Readonly<Record<Half["kind"], LegState>> = {
  waiting: LegState.NONE,
  attached: LegState.ATTACHED,
  detached: LegState.AWAY,
  owed: LegState.AWAY,
  over: LegState.OVER,
};

/** Looks at a relay every second, and reports what it holds, and who waits for whom. The owner must close it. */
export class Survey {
  readonly #relay: Relay;
  readonly #counts: () => SurveyCounts;
  readonly #refusals = new RefusalCounts();
  readonly #trends = new WeakMap<Splice, Trends>();
  readonly #startedAtMs: number;
  readonly #stops: (() => void)[];
  #lookedAtMs: number;
  #bytes: Readonly<Record<Role, number>>;
  #refused = 0;
  #perSecond = { client: 0, listener: 0, refusals: 0 };

  constructor(relay: Relay, counts: () => SurveyCounts) {
    const { clock, events } = relay;
    this.#relay = relay;
    this.#counts = counts;
    this.#startedAtMs = clock.now();
    this.#lookedAtMs = this.#startedAtMs;
    this.#bytes = relay.bytes;
    this.#stops = [
      atIntervals(clock, lookIntervalMs, () => this.#look()),
      events.observe((event) => {
        if (event.kind === "refused") this.#refusals.add(event, clock.now());
      }),
    ];
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  show({ namePrefix, maxNames, maxStreams }: ShowRequest): MessageInitShape<typeof ShowResponseSchema> {
    const nowMs = this.#relay.clock.now();
    return {
      totals: this.#totals(nowMs),
      names: this.#names(namePrefix, reportsOf(maxNames)),
      streams: this.#streams(namePrefix, reportsOf(maxStreams), nowMs),
      refusals: this.#refusals.reports(nowMs),
    };
  }

  #look(): void {
    const relay = this.#relay;
    const nowMs = relay.clock.now();
    const elapsedMs = nowMs - this.#lookedAtMs;
    const rate = (now: number, before: number) => Math.round(((now - before) * 1_000) / elapsedMs);
    this.#lookedAtMs = nowMs;
    const { bytes } = relay;
    this.#perSecond = {
      client: rate(bytes.client, this.#bytes.client),
      listener: rate(bytes.listener, this.#bytes.listener),
      refusals: rate(this.#refusals.total, this.#refused),
    };
    this.#bytes = bytes;
    this.#refused = this.#refusals.total;
    for (const splice of relay.streams) {
      const trends = this.#trendsOf(splice);
      for (const role of ["client", "listener"] as const) {
        trends[role].look(splice[role], featuresOfPeer(splice, role), nowMs, elapsedMs);
      }
    }
  }

  #trendsOf(splice: Splice): Trends {
    const known = this.#trends.get(splice);
    if (known !== undefined) return known;
    const { openedAtMs } = splice;
    const trends = { client: new EndpointTrend(openedAtMs), listener: new EndpointTrend(openedAtMs) };
    this.#trends.set(splice, trends);
    return trends;
  }

  #totals(nowMs: number): MessageInitShape<typeof TotalsSchema> {
    const { counts, suspended, isOpen, admission } = this.#relay;
    const { client, listener, refusals } = this.#perSecond;
    return {
      names: counts.leases,
      suspendedNames: suspended.leases,
      offers: counts.offers,
      streams: counts.streams,
      suspendedStreams: suspended.streams,
      legs: counts.legs,
      ...this.#counts(),
      clientBytesPerSecond: BigInt(client),
      listenerBytesPerSecond: BigInt(listener),
      refusals: BigInt(this.#refusals.total),
      refusalsPerSecond: refusals,
      ageMs: wholeMs(nowMs - this.#startedAtMs),
      ready: isOpen,
      heldBytes: BigInt(admission.heldBytes.bytes),
      gatewayCalls: admission.count("gateway call"),
    };
  }

  #names(prefix: string, max: number): MessageInitShape<typeof NameReportSchema>[] {
    const leases = [...this.#relay.registry.leases].filter(({ name }) => name.startsWith(prefix));
    return leases
      .sort((a, b) => b.offers - a.offers || a.ageMs - b.ageMs)
      .slice(0, max)
      .map(nameReport);
  }

  #streams(prefix: string, max: number, nowMs: number): MessageInitShape<typeof StreamReportSchema>[] {
    const { registry, streams, limits } = this.#relay;
    const found = [...streams]
      .filter(({ name }) => name.startsWith(prefix))
      .map((splice) => {
        const trends = this.#trendsOf(splice);
        const lease = registry.find(splice.name);
        const wait = streamWait({ splice, trends, lease, graceMs: limits.graceMs, nowMs });
        return { splice, trends, wait, rate: trends.client.bytesPerSecond + trends.listener.bytesPerSecond };
      });
    return found
      .sort((a, b) => b.wait.waitMs - a.wait.waitMs || b.rate - a.rate)
      .slice(0, max)
      .map(({ splice, trends, wait }) => this.#streamReport(splice, trends, wait, nowMs));
  }

  #streamReport(
    splice: Splice,
    trends: Trends,
    { wait, waitsFor, waitMs }: StreamWait,
    nowMs: number,
  ): MessageInitShape<typeof StreamReportSchema> {
    return {
      streamId: splice.id,
      name: splice.name,
      state: stateOf[splice.kind],
      ageMs: wholeMs(splice.ageMs),
      opener: callerReport(splice.caller),
      client: this.#endpointReport(splice, "client", trends, nowMs),
      listener: this.#endpointReport(splice, "listener", trends, nowMs),
      wait,
      waitsFor,
      waitMs: wholeMs(waitMs),
    };
  }

  #endpointReport(
    splice: Splice,
    role: Role,
    trends: Trends,
    nowMs: number,
  ): MessageInitShape<typeof EndpointReportSchema> {
    const [half, trend] = [splice[role], trends[role]];
    const { leg } = half;
    const legMs =
      leg !== undefined
        ? nowMs - leg.sinceMs
        : half.kind === "detached"
          ? this.#relay.limits.graceMs - half.graceLeftMs
          : splice.ageMs;
    return {
      leg: legStateOf[half.kind],
      legMs: wholeMs(legMs),
      caller: leg && callerReport(leg.caller),
      sentBytes: BigInt(half.bytes),
      bytesPerSecond: BigInt(trend.bytesPerSecond),
      silentMs: wholeMs(nowMs - trend.spokeAtMs),
      unackedFrames: BigInt(trend.unackedFrames),
      windowLeftBytes: trend.windowLeftBytes === undefined ? undefined : BigInt(trend.windowLeftBytes),
      windowBytes: trend.windowBytes === undefined ? undefined : BigInt(trend.windowBytes),
      finished: half.said === "fin" || half.said === "reset",
    };
  }
}

function nameReport({
  name,
  id,
  listed,
  kind,
  ageMs,
  caller,
  offers,
}: Lease): MessageInitShape<typeof NameReportSchema> {
  return {
    name,
    leaseId: id,
    listed,
    suspended: kind === "suspended",
    ageMs: wholeMs(ageMs),
    listener: callerReport(caller),
    offers,
  };
}

function featuresOfPeer(splice: Splice, role: Role) {
  const peer = role === "client" ? "listener" : "client";
  return { acks: splice.hasFeature(peer, Feature.ACK), grantsCredit: splice.hasFeature(peer, Feature.CREDIT) };
}

function reportsOf(requested: number): number {
  return requested === 0 ? defaultReports : Math.min(requested, maxReports);
}

function wholeMs(ms: number): bigint {
  return BigInt(Math.max(0, Math.round(ms)));
}
