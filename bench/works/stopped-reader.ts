import { bytesPerMebibyte } from "../measurement.ts";
import { quantile } from "../statistics.ts";
import type { Work } from "./work.ts";

const messageBytes = 65_536;
const otherStreams = 8;

/** Streams whose reader stops: the relay's memory for each, and the delay of pings on other streams. */
export const stoppedReader: Work = {
  name: "stopped",
  processes: "fresh",
  suits: ({ hasBackpressure }) => hasBackpressure,
  async measure(trio, plan) {
    const { relay, client } = trio;
    const others = await trio.open(otherStreams);
    const stopped = await trio.open(plan.stoppedStreams);
    const p99 = async () => quantile(await client.call.pings(others, plan.pingMs), 0.99);
    // The first messages do not count, because they compile code and grow buffers that stay.
    await client.call.flow(others, { messageBytes, unitBytes: messageBytes, durationMs: plan.flowMs / 2 });
    await p99();
    const beforeMs = await p99();
    const before = await relay.call.settledMemory();
    await client.call.fill(stopped, messageBytes, plan.maxStoppedBytes);
    const afterMs = await p99();
    const after = await relay.call.settledMemory();
    return {
      mibPerStream: (after.heldBytes - before.heldBytes) / plan.stoppedStreams / bytesPerMebibyte,
      othersP99Ratio: afterMs / beforeMs,
    };
  },
};
