import type { HttpContender } from "../contender.ts";
import type { HttpServerCalls } from "./calls.ts";
import { partyCalls } from "./usage.ts";

/** The calls of the process that serves HTTP behind names. */
export function createHttpServer({ answer }: HttpContender): HttpServerCalls {
  return { ...partyCalls, answer };
}
