import { bytesPerKibibyte } from "../measurement.ts";
import type { Work } from "./work.ts";

const listenersPerConnection = 100;

/** Memory that the relay has for each of many names that are listened on. */
export const idleListeners: Work = {
  name: "listeners",
  processes: "fresh",
  suits: ({ isMeasuredInThousands }) => isMeasuredInThousands,
  async measure({ relay, listener, port }, plan) {
    const listen = (name: string, count: number, firstConnection: number) =>
      listener.call.listen(port, { name, count, firstConnection, perConnection: listenersPerConnection });
    // As with streams, the first do not count.
    await listen("first", listenersPerConnection, 1);
    const before = await relay.call.settledMemory();
    await listen("idle", plan.idleListeners, 2);
    const after = await relay.call.settledMemory();
    return { kibPerListener: (after.residentBytes - before.residentBytes) / plan.idleListeners / bytesPerKibibyte };
  },
};
