import { bytesPerKibibyte } from "../measurement.ts";
import type { Work } from "./work.ts";

const listenersPerConnection = 100;
/** Three minutes for all contenders are too much: those that this package is compared with. */
const measured: readonly string[] = ["connect", "websocket", "http2-pipe", "ws", "socket.io"];

/** Memory that the relay has for each of many names that are listened on. */
export const idleListeners: Work = {
  name: "listeners",
  processes: "fresh",
  suits: ({ name }) => measured.includes(name),
  async measure({ relay, listener, port }, plan) {
    const listen = (name: string, count: number, firstConnection: number) =>
      listener.call.listen(port, { name, count, firstConnection, perConnection: listenersPerConnection });
    await listen("first", listenersPerConnection, 1);
    const before = await relay.call.settledUsage();
    await listen("idle", plan.idleListeners, 2);
    const after = await relay.call.settledUsage();
    return { kibPerListener: (after.residentBytes - before.residentBytes) / plan.idleListeners / bytesPerKibibyte };
  },
};
