import { runProgram } from "../../parties/program.ts";
import type { HttpWork } from "./http-work.ts";

const connections = 32;

/** Requests that are answered with 100 bytes, as fast as `wrk` makes them on 32 connections. */
export const httpRequests: HttpWork = {
  name: "http-requests",
  processes: "shared",
  programs: ["wrk"],
  suits: ({ path }) => path !== undefined,
  async measure(trio, { requestsS }) {
    const cpuMs = await trio.relay.call.cpuMs();
    const printed = await runProgram("wrk", ["-t1", `-c${connections}`, `-d${requestsS}s`, trio.url()]);
    const usedMs = (await trio.relay.call.cpuMs()) - cpuMs;
    const { count, perS } = readWrk(printed);
    return { perS, relayCpuUs: (usedMs * 1_000) / count };
  },
};

/** Reads what `wrk` prints. Throws if a request failed. */
export function readWrk(printed: string): { count: number; perS: number } {
  const failure = /^\s*(Socket errors|Non-2xx or 3xx responses):.*$/m.exec(printed);
  if (failure !== null) throw new Error(failure[0].trim());
  const [, count] = /^\s*(\d+) requests in/m.exec(printed) ?? [];
  const [, perS] = /^Requests\/sec:\s*([\d.]+)/m.exec(printed) ?? [];
  if (count === undefined || perS === undefined) throw new Error(`wrk said: ${printed}`);
  return { count: Number(count), perS: Number(perS) };
}
