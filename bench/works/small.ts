import { flowBytes, flowRate } from "../measurement.ts";
import type { Work } from "./work.ts";

const messageBytes = 1_024;
const unitBytes = 262_144;

/** Messages of 1 KiB on one stream, from the client to the listener. */
export const small: Work = {
  name: "small",
  processes: "shared",
  async measure(trio, { flowMs, warmUpMs }) {
    const group = await trio.open(1);
    const durationMs = warmUpMs + flowMs;
    const order = { messageBytes, unitBytes, durationMs };
    const [[flow], cpuMs] = await trio.withCpu(() => trio.client.call.flow(group, order));
    await trio.client.call.close(group);
    if (flow === undefined) throw new Error("no flow");
    const messagesPerMs = flowRate(flow, { fromMs: warmUpMs, toMs: durationMs }) / messageBytes;
    return {
      // One message a millisecond is a thousand a second.
      thousandsPerS: messagesPerMs,
      relayCpuUsPerMessage: (cpuMs.relay * 1_000) / (flowBytes(flow) / messageBytes),
    };
  },
};
