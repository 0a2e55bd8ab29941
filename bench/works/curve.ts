import { flowRate, megabytesPerS } from "../measurement.ts";
import { steadyName } from "../parties/trio.ts";
import type { Work } from "./work.ts";

const streamsPerConnection = 100;
const pairingsAtOnce = 8;
const closedAtOnce = 100;
const measured: readonly string[] = ["connect", "websocket", "http2-pipe", "socket.io"];

/** Pairing, forwarding and closing while more and more other streams are open. The figures end in the number of them. */
export const curve: Work = {
  name: "curve",
  processes: "fresh",
  suits: ({ name, maxStreams }, plan) => measured.includes(name) && maxStreams >= Math.max(...plan.curve),
  async measure(trio, plan) {
    const { client, port } = trio;
    const values: Record<string, number> = {};
    let openCount = 0;
    let nextConnection = 1;
    for (const count of plan.curve) {
      const streams = { name: steadyName, firstConnection: nextConnection, perConnection: streamsPerConnection };
      await client.call.open(port, { ...streams, count: count - openCount });
      nextConnection += Math.ceil((count - openCount) / streamsPerConnection);
      openCount = count;

      const paired = await client.call.pairings(port, steadyName, pairingsAtOnce, plan.curveMs);
      values[`pairingsPerS${count}`] = (paired.count * 1_000) / paired.elapsedMs;

      const forwarding = await trio.open(1);
      const durationMs = plan.warmUpMs + plan.curveMs;
      const order = { messageBytes: 65_536, unitBytes: 1_048_576, durationMs };
      const [flow] = await client.call.flow(forwarding, order);
      if (flow === undefined) throw new Error("no flow");
      values[`megabytesPerS${count}`] = megabytesPerS(flowRate(flow, { fromMs: plan.warmUpMs, toMs: durationMs }));
      await client.call.close(forwarding);

      const closing = await trio.open(closedAtOnce);
      const startedMs = performance.now();
      await client.call.close(closing);
      values[`closingsPerS${count}`] = (closedAtOnce * 1_000) / (performance.now() - startedMs);
    }
    return values;
  },
};
