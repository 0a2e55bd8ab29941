import { megabytesPerS } from "../measurement.ts";
import type { Work } from "./work.ts";

const messageBytes = 16_384;
const unitBytes = 65_536;

/** A flow of 16 KiB messages on each of 200 streams of one connection at once. */
export const manyStreams: Work = {
  name: "many",
  processes: "shared",
  async measure(trio, plan) {
    const group = await trio.open(plan.manyStreams);
    // What all the streams have in hand takes longer to arrive first than what one has.
    const fromMs = plan.manyStreamsMs / 2;
    const durationMs = fromMs + plan.manyStreamsMs;
    const flows = await trio.client.call.flow(group, { messageBytes, unitBytes, durationMs });
    await trio.client.call.close(group);
    const bytesPerMs = flows.map(({ startedMs, repliesMs }) => {
      const inWindow = repliesMs.filter((ms) => ms - startedMs >= fromMs && ms - startedMs <= durationMs);
      return (inWindow.length * unitBytes) / plan.manyStreamsMs;
    });
    const sum = bytesPerMs.reduce((total, rate) => total + rate, 0);
    return {
      megabytesPerS: megabytesPerS(sum),
      slowestShare: sum === 0 ? 0 : Math.min(...bytesPerMs) / (sum / bytesPerMs.length),
    };
  },
};
