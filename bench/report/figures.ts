/** A figure of the tables. */
export interface Figure {
  id: string;
  title: string;
  unit: string;
  better: "higher" | "lower";
}

/** Figures of the streams between processes. */
export const nodeFigures: readonly Figure[] = [
  { id: "bulk.megabytesPerS", title: "64 KiB messages", unit: "MB/s", better: "higher" },
  { id: "small.thousandsPerS", title: "1 KiB messages", unit: "thousand/s", better: "higher" },
  { id: "bulk.relayCpuSPerGib", title: "relay's CPU", unit: "s/GiB", better: "lower" },
  { id: "bulk.cpuSPerGib", title: "CPU of all three", unit: "s/GiB", better: "lower" },
  { id: "ping.p50Us", title: "ping-pong p50", unit: "µs", better: "lower" },
  { id: "pairing.onePerS", title: "pairings, one at a time", unit: "/s", better: "higher" },
  { id: "pairing.manyPerS", title: "pairings, 32 at once", unit: "/s", better: "higher" },
  { id: "idle.kibPerStream", title: "memory per idle stream", unit: "KiB", better: "lower" },
];

/** Figures of many streams, and of readers that stop. */
export const crowdFigures: readonly Figure[] = [
  { id: "many.megabytesPerS", title: "200 streams, sum", unit: "MB/s", better: "higher" },
  { id: "many.slowestShare", title: "slowest of them", unit: "of the mean", better: "higher" },
  { id: "stopped.mibPerStream", title: "relay's memory per stopped reader", unit: "MiB", better: "lower" },
  { id: "stopped.othersP99Ratio", title: "the others' p99, of before", unit: "times", better: "lower" },
  { id: "listeners.kibPerListener", title: "memory per idle listener", unit: "KiB", better: "lower" },
];

/** Figures of the streams between tabs. */
export const tabFigures: readonly Figure[] = [
  { id: "tab-bulk.megabytesPerS", title: "64 KiB messages", unit: "MB/s", better: "higher" },
  { id: "tab-small.thousandsPerS", title: "1 KiB messages", unit: "thousand/s", better: "higher" },
  { id: "tab-ping.p50Us", title: "ping-pong p50", unit: "µs", better: "lower" },
];

export const curveFigures = [
  { name: "pairingsPerS", title: "pairings/s, 8 at once" },
  { name: "megabytesPerS", title: "forwarding, MB/s" },
  { name: "closingsPerS", title: "closings/s, 100 at once" },
] as const;

/** One of ours beside the yardstick that says how good it could be. */
export interface Comparison {
  title: string;
  figure: string;
  ours: string;
  yardstick: string;
}

const overHttp2 = (title: string, figure: string): Comparison => ({
  title: `HTTP/2, Connect: ${title}, of the bare http2 pipe`,
  figure,
  ours: "connect",
  yardstick: "http2-pipe",
});
const grpcLegs = (title: string, figure: string): Comparison => ({
  title: `gRPC instead of Connect: ${title}`,
  figure,
  ours: "grpc",
  yardstick: "connect",
});
const overWebSocket = (title: string, figure: string, yardstick: "ws" | "ws-paused"): Comparison => ({
  title: `WebSocket link: ${title}, of \`ws\`${yardstick === "ws" ? "" : " paused under pressure"}`,
  figure,
  ours: "websocket",
  yardstick,
});
const fromTabToTab = (title: string, figure: string): Comparison => ({
  title: `tab to tab: ${title}, of the bare \`ws\` relay`,
  figure,
  ours: "websocket",
  yardstick: "ws",
});

export const comparisons: readonly Comparison[] = [
  overHttp2("64 KiB messages", "bulk.megabytesPerS"),
  overHttp2("1 KiB messages", "small.thousandsPerS"),
  overHttp2("relay's CPU per GiB", "bulk.relayCpuSPerGib"),
  overHttp2("CPU of all three per GiB", "bulk.cpuSPerGib"),
  overHttp2("ping-pong p50", "ping.p50Us"),
  overHttp2("pairings, one at a time", "pairing.onePerS"),
  overHttp2("pairings, 32 at once", "pairing.manyPerS"),
  overHttp2("memory per idle stream", "idle.kibPerStream"),
  overHttp2("200 streams at once", "many.megabytesPerS"),
  grpcLegs("64 KiB messages", "bulk.megabytesPerS"),
  grpcLegs("1 KiB messages", "small.thousandsPerS"),
  grpcLegs("ping-pong p50", "ping.p50Us"),
  grpcLegs("pairings, 32 at once", "pairing.manyPerS"),
  overWebSocket("64 KiB messages", "bulk.megabytesPerS", "ws-paused"),
  overWebSocket("64 KiB messages", "bulk.megabytesPerS", "ws"),
  overWebSocket("relay's CPU per GiB", "bulk.relayCpuSPerGib", "ws"),
  overWebSocket("1 KiB messages", "small.thousandsPerS", "ws"),
  overWebSocket("ping-pong p50", "ping.p50Us", "ws"),
  overWebSocket("pairings, one at a time", "pairing.onePerS", "ws"),
  overWebSocket("pairings, 32 at once", "pairing.manyPerS", "ws"),
  overWebSocket("memory per idle stream", "idle.kibPerStream", "ws"),
  fromTabToTab("64 KiB messages", "tab-bulk.megabytesPerS"),
  fromTabToTab("1 KiB messages", "tab-small.thousandsPerS"),
  fromTabToTab("ping-pong p50", "tab-ping.p50Us"),
];
