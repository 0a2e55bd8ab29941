import { findChromium } from "../setup/chromium.ts";
import { installProgram } from "./debian-program.ts";
import { type Outcome, skipped } from "./step.ts";
import { runTests } from "./test-run.ts";

/** The browser tests, in a Chromium that is installed first where that is possible. */
export async function runBrowserTests(timeoutMs: number): Promise<Outcome> {
  const named = process.env.CHROMIUM;
  if (named && findChromium() === undefined) return skipped(`CHROMIUM names ${named}, which does not exist`);
  const obstacle = await installProgram({ name: "chromium", find: findChromium });
  if (obstacle !== undefined) return skipped(obstacle);
  return runTests("browser", timeoutMs, { CHROMIUM: findChromium() ?? "" });
}
