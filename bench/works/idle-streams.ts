import { bytesPerKibibyte } from "../measurement.ts";
import type { Work } from "./work.ts";

const firstStreams = 100;

/** The relay's memory for each of many open streams on which nothing is sent. */
export const idleStreams: Work = {
  name: "idle",
  processes: "fresh",
  async measure(trio, { idleStreams }) {
    // The first streams do not count, because they load code and fill caches.
    await trio.openCrowd(firstStreams);
    const before = await trio.relay.call.settledMemory();
    await trio.openCrowd(idleStreams);
    const after = await trio.relay.call.settledMemory();
    return { kibPerStream: (after.residentBytes - before.residentBytes) / idleStreams / bytesPerKibibyte };
  },
};
