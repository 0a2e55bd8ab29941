import { bytesPerKibibyte } from "../measurement.ts";
import { steadyName } from "../parties/trio.ts";
import type { Work } from "./work.ts";

const streamsPerConnection = 100;

/** Memory that the relay has for each of many open streams on which nothing is sent. */
export const idleStreams: Work = {
  name: "idle",
  processes: "fresh",
  async measure({ relay, client, port }, plan) {
    const open = (count: number, firstConnection: number) =>
      client.call.open(port, { name: steadyName, count, firstConnection, perConnection: streamsPerConnection });
    // The first streams load code and fill caches, which is not theirs.
    await open(streamsPerConnection, 0);
    const before = await relay.call.settledUsage();
    await open(plan.idleStreams, 1);
    const after = await relay.call.settledUsage();
    return { kibPerStream: (after.residentBytes - before.residentBytes) / plan.idleStreams / bytesPerKibibyte };
  },
};
