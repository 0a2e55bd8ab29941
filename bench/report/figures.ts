/** A figure that the works measure and the tables show. */
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

/** Figures of HTTP through the gateway. */
export const httpFigures: readonly Figure[] = [
  { id: "http-requests.perS", title: "requests", unit: "/s", better: "higher" },
  { id: "http-requests.relayCpuUs", title: "relay's CPU", unit: "µs each", better: "lower" },
  { id: "http-download.megabytesPerS", title: "download", unit: "MB/s", better: "higher" },
  { id: "http-memory.growthMib", title: "relay's memory in a download", unit: "MiB more", better: "lower" },
  { id: "http-events.p50Ms", title: "event p50", unit: "ms", better: "lower" },
  { id: "http-events.maxMs", title: "slowest event", unit: "ms", better: "lower" },
  { id: "http-names.failedCalls", title: "1,000 names: failed", unit: "calls", better: "lower" },
  { id: "http-names.p50Ms", title: "their p50", unit: "ms", better: "lower" },
  { id: "http-names.p99Ms", title: "their p99", unit: "ms", better: "lower" },
];

export const curveFigures = [
  { name: "pairingsPerS", title: "pairings/s, 8 at once" },
  { name: "megabytesPerS", title: "forwarding, MB/s" },
  { name: "closingsPerS", title: "closings/s, 100 at once" },
] as const;

const figures: readonly Figure[] = [...nodeFigures, ...crowdFigures, ...tabFigures, ...httpFigures];

/** Throws if there is no such figure. */
export function findFigure(id: string): Figure {
  const found = figures.find((figure) => figure.id === id);
  if (found === undefined) throw new Error(`no such figure: ${id}`);
  return found;
}

/** Whether a value or a ratio of a figure is as good as a limit, or better. NaN is not. */
export function isAsGoodAs({ better }: Figure, value: number, limit: number): boolean {
  return better === "higher" ? value >= limit : value <= limit;
}
