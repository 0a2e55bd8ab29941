import { quantile } from "../statistics.ts";
import type { Work } from "./work.ts";

/** A message of 32 bytes there and one back, one after the other, on one stream. */
export const ping: Work = {
  name: "ping",
  processes: "shared",
  async measure(trio, { pingMs }) {
    const group = await trio.open(1);
    const timesMs = await trio.client.call.pings(group, pingMs);
    await trio.client.call.close(group);
    return { p50Us: quantile(timesMs, 0.5) * 1_000, p99Us: quantile(timesMs, 0.99) * 1_000 };
  },
};
