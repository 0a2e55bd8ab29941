import { bytesPerMebibyte, megabytesPerS } from "../../measurement.ts";
import type { HttpTrio } from "../../parties/http-trio.ts";
import { runProgram } from "../../parties/program.ts";
import { downloadPath } from "../../traffic/http-handler.ts";
import type { HttpWork } from "./http-work.ts";

/** A tenth of this is enough on two cores. */
const maxS = "60";

/** A download by `curl`, or by a client of streams in Node, and how much the relay's memory grows meanwhile. */
export const httpDownload: HttpWork = {
  name: "http-download",
  processes: "shared",
  programs: ["curl"],
  suits: ({ name }) => name !== "http-proxy",
  async measure(trio, { downloadBytes }) {
    const { relay, contender } = trio;
    const before = await relay.call.settledMemory();
    await relay.call.watchMemory();
    const startedMs = performance.now();
    const bytes = contender.path === undefined ? await trio.download(downloadBytes) : await curl(trio, downloadBytes);
    const elapsedMs = performance.now() - startedMs;
    const grownBytes = (await relay.call.maxResidentBytes()) - before.residentBytes;
    if (bytes !== downloadBytes) throw new Error(`${bytes} of ${downloadBytes} bytes came`);
    return { megabytesPerS: megabytesPerS(bytes / elapsedMs), relayGrowthMib: grownBytes / bytesPerMebibyte };
  },
};

/** Resolves with the bytes that came. */
async function curl(trio: HttpTrio, bytes: number): Promise<number> {
  const quiet = ["--silent", "--show-error", "--fail", "--max-time", maxS];
  const counted = ["--output", "/dev/null", "--write-out", "%{size_download}"];
  return Number(await runProgram("curl", [...quiet, ...counted, trio.url(downloadPath(bytes))]));
}
