import { bytesPerMebibyte } from "../../measurement.ts";
import type { HttpWork } from "./http-work.ts";

/** How much the relay's memory grows while it passes a download on. */
export const httpMemory: HttpWork = {
  name: "http-memory",
  processes: "fresh",
  programs: ["curl"],
  suits: ({ name }) => name !== "http-proxy",
  async measure(trio, { downloadBytes }) {
    const { relay } = trio;
    // The first download does not count, because it loads code and grows buffers that stay.
    await trio.download(downloadBytes);
    const before = await relay.call.settledMemory();
    await relay.call.watchMemory();
    await trio.download(downloadBytes);
    return { growthMib: ((await relay.call.maxResidentBytes()) - before.residentBytes) / bytesPerMebibyte };
  },
};
