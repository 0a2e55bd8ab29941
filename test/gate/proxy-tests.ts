import { findNginx } from "../setup/nginx.ts";
import { installProgram } from "./debian-program.ts";
import { type Outcome, skipped } from "./step.ts";
import { runTests } from "./test-run.ts";

/** The tests behind a real reverse proxy, which is installed first where that is possible. */
export async function runProxyTests(timeoutMs: number): Promise<Outcome> {
  const obstacle = await installProgram({ name: "nginx", find: findNginx });
  if (obstacle !== undefined) return skipped(obstacle);
  return runTests("proxies", timeoutMs);
}
