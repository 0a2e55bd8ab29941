import type { ContenderName } from "../contenders.ts";
import type { Spread } from "../statistics.ts";
import type { BenchRun } from "./bench-run.ts";
import { findFigure, isAsGoodAs } from "./figures.ts";
import { shownFigure, shownSpread } from "./number.ts";

/**
 * A figure of this package divided by that of the yardstick that shows what is possible, or, without a yardstick, the
 * figure itself.
 */
export interface Comparison {
  title: string;
  /** The figure's id. */
  figure: string;
  ours: ContenderName;
  yardstick?: ContenderName;
  /** The ratio, or the figure, to reach. Undefined where the table only informs. */
  goal?: number;
  /** The ratio that the gate's step `speed` insists on. Undefined where the gate does not measure it. */
  bound?: number;
}

type Limits = Pick<Comparison, "goal" | "bound">;

const overHttp2 = (title: string, figure: string, limits: Limits = {}): Comparison => ({
  title: `HTTP/2, Connect: ${title}, of the bare http2 pipe`,
  figure,
  ours: "connect",
  yardstick: "http2-pipe",
  ...limits,
});
const grpcLegs = (title: string, figure: string, limits: Limits = {}): Comparison => ({
  title: `gRPC instead of Connect: ${title}`,
  figure,
  ours: "grpc",
  yardstick: "connect",
  ...limits,
});
const overWebSocket = (
  title: string,
  figure: string,
  yardstick: "ws" | "ws-paused",
  limits: Limits = {},
): Comparison => ({
  title: `WebSocket link: ${title}, of \`ws\`${yardstick === "ws" ? "" : " paused under pressure"}`,
  figure,
  ours: "websocket",
  yardstick,
  ...limits,
});
const fromTabToTab = (title: string, figure: string, limits: Limits = {}): Comparison => ({
  title: `tab to tab: ${title}, of the bare \`ws\` relay`,
  figure,
  ours: "websocket",
  yardstick: "ws",
  ...limits,
});

const gateway = (
  title: string,
  figure: string,
  ours: "gateway" | "gateway-tab",
  limits: Limits & Pick<Comparison, "yardstick"> = {},
): Comparison => ({ title: `gateway: ${title}`, figure, ours, ...limits });

/**
 * The comparisons of streams, in the order of their table.
 *
 * The bounds were set on 2026-11-27, on two cores with Node 24.21. Beside other programs, which kept the load between 2
 * and 4, the medians of six runs were 0.47 to 0.72 in bulk, 0.36 to 0.55 with 1 KiB messages, 0.88 to 1.24 of the
 * relay's CPU and 1.13 to 1.42 of the ping-pong. Each bound is about a quarter worse than the middle of these.
 */
export const streamComparisons: readonly Comparison[] = [
  overHttp2("64 KiB messages", "bulk.megabytesPerS", { goal: 0.8, bound: 0.42 }),
  overHttp2("1 KiB messages", "small.thousandsPerS", { goal: 0.75, bound: 0.34 }),
  overHttp2("relay's CPU per GiB", "bulk.relayCpuSPerGib", { goal: 1.2, bound: 1.4 }),
  overHttp2("CPU of all three per GiB", "bulk.cpuSPerGib"),
  overHttp2("ping-pong p50", "ping.p50Us", { goal: 1.3, bound: 1.55 }),
  overHttp2("pairings, one at a time", "pairing.onePerS", { goal: 0.45 }),
  overHttp2("pairings, 32 at once", "pairing.manyPerS", { goal: 0.35 }),
  overHttp2("memory per idle stream", "idle.kibPerStream", { goal: 2 }),
  overHttp2("200 streams at once", "many.megabytesPerS"),
  grpcLegs("64 KiB messages", "bulk.megabytesPerS", { goal: 0.95 }),
  grpcLegs("1 KiB messages", "small.thousandsPerS", { goal: 0.95 }),
  // 1 / 0.95 is 1.05.
  grpcLegs("ping-pong p50", "ping.p50Us", { goal: 1.05 }),
  grpcLegs("pairings, 32 at once", "pairing.manyPerS", { goal: 0.95 }),
  overWebSocket("64 KiB messages", "bulk.megabytesPerS", "ws-paused", { goal: 0.9 }),
  overWebSocket("64 KiB messages", "bulk.megabytesPerS", "ws"),
  overWebSocket("relay's CPU per GiB", "bulk.relayCpuSPerGib", "ws", { goal: 1.6 }),
  overWebSocket("1 KiB messages", "small.thousandsPerS", "ws", { goal: 1.8 }),
  overWebSocket("ping-pong p50", "ping.p50Us", "ws", { goal: 1.35 }),
  overWebSocket("pairings, one at a time", "pairing.onePerS", "ws"),
  overWebSocket("pairings, 32 at once", "pairing.manyPerS", "ws", { goal: 1 }),
  overWebSocket("memory per idle stream", "idle.kibPerStream", "ws"),
  fromTabToTab("64 KiB messages", "tab-bulk.megabytesPerS", { goal: 0.85 }),
  fromTabToTab("1 KiB messages", "tab-small.thousandsPerS"),
  fromTabToTab("ping-pong p50", "tab-ping.p50Us", { goal: 1.4 }),
];

/** The comparisons of HTTP through the gateway, in the order of their table. */
export const gatewayComparisons: readonly Comparison[] = [
  gateway("requests to Node, of `http-proxy`", "http-requests.perS", "gateway", { yardstick: "http-proxy", goal: 0.5 }),
  gateway("requests to a tab", "http-requests.perS", "gateway-tab", { goal: 2_000 }),
  gateway("download from a tab, of the stream itself", "http-download.megabytesPerS", "gateway-tab", {
    yardstick: "stream-tab",
    goal: 0.7,
  }),
  gateway("download from Node, of the stream itself", "http-download.megabytesPerS", "gateway", {
    yardstick: "stream",
    goal: 0.7,
  }),
  gateway("relay's memory while a tab sends 256 MiB", "http-memory.growthMib", "gateway-tab", { goal: 16 }),
  gateway("event of a tab, p50", "http-events.p50Ms", "gateway-tab", { goal: 50 }),
  gateway("event of a tab, the slowest of a round", "http-events.maxMs", "gateway-tab", { goal: 50 }),
  gateway("calls to many names, failed", "http-names.failedCalls", "gateway", { goal: 0 }),
  gateway("calls to many names, p99", "http-names.p99Ms", "gateway"),
];

export const comparisons: readonly Comparison[] = [...streamComparisons, ...gatewayComparisons];

/** The ratio of a comparison, or its figure where it has no yardstick. Undefined if a run has not measured it. */
export function resultOf(run: BenchRun, { figure, ours, yardstick }: Comparison): Spread | undefined {
  return yardstick === undefined ? run.spread(figure, ours) : run.ratio(figure, ours, yardstick);
}

/** Undefined if a run has not measured the comparison, or if it has no goal. */
export function hasReachedGoal(run: BenchRun, comparison: Comparison): boolean | undefined {
  const { figure, goal } = comparison;
  const result = resultOf(run, comparison);
  return result === undefined || goal === undefined ? undefined : isAsGoodAs(findFigure(figure), result.median, goal);
}

/** A ratio as it is, or a figure with its unit. */
export function shownResult(result: Spread, { figure, yardstick }: Comparison): string {
  return yardstick === undefined ? `${shownFigure(result)} ${findFigure(figure).unit}` : shownSpread(result);
}

/** A goal or a bound with its direction: "≥ 0.8". Empty without one. */
export function shownLimit({ figure }: Comparison, limit: number | undefined): string {
  if (limit === undefined) return "";
  return `${findFigure(figure).better === "higher" ? "≥" : "≤"} ${limit.toLocaleString("en")}`;
}
