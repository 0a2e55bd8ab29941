import { megabytesPerS } from "../../measurement.ts";
import type { HttpWork } from "./http-work.ts";

/** A download by `curl`, or by a client of streams in Node. */
export const httpDownload: HttpWork = {
  name: "http-download",
  processes: "shared",
  programs: ["curl"],
  suits: ({ name }) => name !== "http-proxy",
  async measure(trio, { downloadBytes }) {
    const startedMs = performance.now();
    await trio.download(downloadBytes);
    return { megabytesPerS: megabytesPerS(downloadBytes / (performance.now() - startedMs)) };
  },
};
