import { flowBytes, megabytesPerS } from "../measurement.ts";
import type { FlowResult } from "../traffic/question.ts";
import type { Work } from "./work.ts";

const messageBytes = 16_384;
const unitBytes = 65_536;

/** The units that had arrived when the senders stopped. Units that arrive later are those of streams that catch up. */
const unitsInTime = ({ startedMs, repliesMs }: FlowResult, durationMs: number) =>
  repliesMs.filter((ms) => ms - startedMs <= durationMs).length;

/** A flow of 16 KiB messages on each of 200 streams of one connection at once. */
export const manyStreams: Work = {
  name: "many",
  processes: "shared",
  async measure(trio, plan) {
    const group = await trio.open(plan.manyStreams);
    const durationMs = plan.manyStreamsMs;
    const flows = await trio.client.call.flow(group, { messageBytes, unitBytes, durationMs });
    await trio.client.call.close(group);
    const bytes = flows.reduce((sum, flow) => sum + flowBytes(flow), 0);
    const startedMs = Math.min(...flows.map((flow) => flow.startedMs));
    const endedMs = Math.max(...flows.map(({ repliesMs }) => repliesMs.at(-1) ?? startedMs));
    const units = flows.map((flow) => unitsInTime(flow, durationMs));
    const meanUnits = units.reduce((sum, count) => sum + count, 0) / units.length;
    return {
      megabytesPerS: megabytesPerS(bytes / (endedMs - startedMs)),
      slowestShare: meanUnits === 0 ? 0 : Math.min(...units) / meanUnits,
    };
  },
};
