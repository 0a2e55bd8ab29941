import { steadyName } from "../parties/trio.ts";
import type { Work } from "./work.ts";

const manyAtOnce = 32;

/** Opens streams that carry one message there and one back, and closes them: one at a time, and 32 at once. */
export const pairing: Work = {
  name: "pairing",
  processes: "shared",
  async measure({ client, port }, { pairingMs }) {
    const perS = async (atOnce: number) => {
      const { count, elapsedMs } = await client.call.pairings(port, steadyName, atOnce, pairingMs);
      return (count * 1_000) / elapsedMs;
    };
    return { onePerS: await perS(1), manyPerS: await perS(manyAtOnce) };
  },
};
