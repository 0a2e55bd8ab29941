import { cpuPerGibibyte, flowBytes, flowRate, megabytesPerS } from "../measurement.ts";
import type { Work } from "./work.ts";

const messageBytes = 65_536;
const unitBytes = 1_048_576;

/** Messages of 64 KiB on one stream, from the client to the listener. */
export const bulk: Work = {
  name: "bulk",
  processes: "shared",
  async measure(trio, { flowMs, warmUpMs }) {
    const group = await trio.open(1);
    const durationMs = warmUpMs + flowMs;
    const order = { messageBytes, unitBytes, durationMs };
    const [[flow], cpuMs] = await trio.withCpu(() => trio.client.call.flow(group, order));
    await trio.client.call.close(group);
    if (flow === undefined) throw new Error("no flow");
    const cpu = cpuPerGibibyte(cpuMs, flowBytes(flow));
    return {
      megabytesPerS: megabytesPerS(flowRate(flow, { fromMs: warmUpMs, toMs: durationMs })),
      relayCpuSPerGib: cpu.relay,
      cpuSPerGib: cpu.all,
    };
  },
};
