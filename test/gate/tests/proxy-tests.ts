import { findProxy, proxyPrograms } from "../../setup/proxy-programs.ts";
import { installProgram } from "../programs/debian-program.ts";
import { type Outcome, skipped } from "../step.ts";
import { runTests } from "./test-run.ts";

/** The tests behind real reverse proxies, which are installed first where that is possible. */
export async function runProxyTests(timeoutMs: number): Promise<Outcome> {
  for (const name of proxyPrograms) {
    const obstacle = await installProgram({ name, find: () => findProxy(name) });
    if (obstacle !== undefined) return skipped(obstacle);
  }
  return runTests("proxies", timeoutMs);
}
