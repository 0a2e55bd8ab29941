import { findChromium } from "../../setup/chromium.ts";
import { findProxy, proxyPrograms } from "../../setup/proxy-programs.ts";
import { type DebianProgram, installProgram } from "../programs/debian-program.ts";
import { enginePrograms } from "../programs/engine-programs.ts";
import { type Outcome, skipped } from "../step.ts";
import { runTests } from "./test-run.ts";

const programs: DebianProgram[] = [
  ...enginePrograms,
  ...proxyPrograms.map((name) => ({ name, find: () => findProxy(name) })),
];

/** The tests of a project with browsers, in engines that are installed first where that is possible. */
export async function runBrowserTests(project: string, timeoutMs: number): Promise<Outcome> {
  const named = process.env.CHROMIUM;
  if (named && findChromium() === undefined) return skipped(`CHROMIUM names ${named}, which does not exist`);
  for (const program of programs) {
    const obstacle = await installProgram(program);
    if (obstacle !== undefined) return skipped(obstacle);
  }
  return runTests(project, timeoutMs, { CHROMIUM: findChromium() ?? "" });
}
