import type { RelayCalls } from "./calls.ts";
import { partyCalls } from "./usage.ts";

const watchIntervalMs = 10;

/** The calls of the process that has a relay or a proxy. */
export function createRelay(contender: { serve(): Promise<number> }): RelayCalls {
  let maxBytes = 0;
  let watch: NodeJS.Timeout | undefined;
  const look = () => {
    maxBytes = Math.max(maxBytes, process.memoryUsage.rss());
  };
  return {
    ...partyCalls,
    serve: () => contender.serve(),
    watchMemory() {
      maxBytes = 0;
      clearInterval(watch);
      watch = setInterval(look, watchIntervalMs);
    },
    maxResidentBytes() {
      clearInterval(watch);
      look();
      return maxBytes;
    },
  };
}
