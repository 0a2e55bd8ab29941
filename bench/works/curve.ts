import { flowRate, megabytesPerS, PartialFailure } from "../measurement.ts";
import { steadyName, type Trio } from "../parties/trio.ts";
import type { Plan } from "../plan.ts";
import type { Work } from "./work.ts";

const pairingsAtOnce = 8;
const closedAtOnce = 100;
/** A hundred streams are closed in some 10 ms, which is too short to measure once. */
const closingRepeats = 4;

type CurveFigure = "pairingsPerS" | "megabytesPerS" | "closingsPerS";

/** Measures pairing, forwarding and closing beside the streams that are open. */
async function measureBeside(trio: Trio, { warmUpMs, curveMs }: Plan): Promise<Record<CurveFigure, number>> {
  const { client, port } = trio;
  const paired = await client.call.pairings(port, steadyName, pairingsAtOnce, curveMs);

  const forwarding = await trio.open(1);
  const durationMs = warmUpMs + curveMs;
  const [flow] = await client.call.flow(forwarding, { messageBytes: 65_536, unitBytes: 1_048_576, durationMs });
  if (flow === undefined) throw new Error("no flow");
  await client.call.close(forwarding);

  let closingMs = 0;
  for (let repeat = 0; repeat < closingRepeats; repeat += 1) {
    const closing = await trio.open(closedAtOnce);
    const startedMs = performance.now();
    await client.call.close(closing);
    closingMs += performance.now() - startedMs;
  }
  return {
    pairingsPerS: (paired.count * 1_000) / paired.elapsedMs,
    megabytesPerS: megabytesPerS(flowRate(flow, { fromMs: warmUpMs, toMs: durationMs })),
    closingsPerS: (closingRepeats * closedAtOnce * 1_000) / closingMs,
  };
}

/** Pairing, forwarding and closing while more and more streams are open. A figure's name ends in their number. */
export const curve: Work = {
  name: "curve",
  processes: "fresh",
  suits: ({ isMeasuredInThousands, maxStreams }, plan) =>
    isMeasuredInThousands && maxStreams >= Math.max(...plan.curve),
  async measure(trio, plan) {
    const values: Record<string, number> = {};
    let openCount = 0;
    // The first measurement does not count, because it runs code that is not compiled yet.
    await measureBeside(trio, plan);
    for (const count of plan.curve) {
      try {
        await trio.openCrowd(count - openCount);
        openCount = count;
        for (const [name, value] of Object.entries(await measureBeside(trio, plan))) values[`${name}${count}`] = value;
      } catch (error) {
        throw new PartialFailure(`with ${count} streams`, values, error);
      }
    }
    return values;
  },
};
