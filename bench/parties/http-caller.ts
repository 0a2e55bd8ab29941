import type { HttpContender } from "../contender.ts";
import { callAll, readEvents } from "../traffic/http-calls.ts";
import type { HttpCallerCalls } from "./calls.ts";
import { partyCalls } from "./usage.ts";

/** The calls of the process that calls servers of HTTP. */
export function createHttpCaller({ download }: HttpContender): HttpCallerCalls {
  return {
    ...partyCalls,
    async download(port, name, bytes) {
      if (download === undefined) throw new Error("only clients of streams download by themselves");
      return download(port, name, bytes);
    },
    readEvents,
    callAll,
  };
}
