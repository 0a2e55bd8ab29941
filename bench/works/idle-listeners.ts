import { bytesPerKibibyte } from "../measurement.ts";
import type { Work } from "./work.ts";

const listenersPerConnection = 100;

/** The relay's memory for each of many names that a listener has claimed. */
export const idleListeners: Work = {
  name: "listeners",
  processes: "fresh",
  suits: ({ isMeasuredInThousands }) => isMeasuredInThousands,
  async measure({ relay, listener, port }, plan) {
    const listen = (name: string, count: number, firstConnection: number) =>
      listener.call.listen(port, { name, count, firstConnection, perConnection: listenersPerConnection });
    // The first names do not count, because they load code and fill caches.
    await listen("first", listenersPerConnection, 1);
    const before = await relay.call.settledMemory();
    await listen("idle", plan.idleListeners, 2);
    const after = await relay.call.settledMemory();
    return { kibPerListener: (after.residentBytes - before.residentBytes) / plan.idleListeners / bytesPerKibibyte };
  },
};
