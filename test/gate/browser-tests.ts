import { existsSync, readFileSync } from "node:fs";
import { findChromium } from "../setup/chromium.ts";
import { run } from "./command.ts";
import { type Outcome, skipped } from "./step.ts";
import { runTests } from "./test-run.ts";

/** Installs Debian's Chromium, or says why it can't. */
async function installChromium(): Promise<string | undefined> {
  if (process.env.CHROMIUM) return `CHROMIUM names ${process.env.CHROMIUM}, which does not exist`;
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  if (!/^ID=debian$/m.test(release)) return "there is no Chromium, and only on Debian the gate can install one";
  if (process.getuid?.() !== 0) return "there is no Chromium, and installing it takes root: apt-get install chromium";
  console.log("installing chromium …");
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const commands = [["update"], ["install", "--yes", "--no-install-recommends", "chromium"]];
  for (const args of commands) {
    const { code, output } = await run("apt-get", args, { env, timeoutMs: 240_000 });
    if (code !== 0) return `there is no Chromium, and apt-get ${args[0]} failed:\n${output.trim().slice(-2000)}`;
  }
  return findChromium() === undefined ? "the package chromium left no binary in the usual places" : undefined;
}

/** The browser tests, in a Chromium that is installed first where that is possible. */
export async function runBrowserTests(timeoutMs: number): Promise<Outcome> {
  const obstacle = findChromium() === undefined ? await installChromium() : undefined;
  if (obstacle !== undefined) return skipped(obstacle);
  return runTests("browser", timeoutMs, { CHROMIUM: findChromium() ?? "" });
}
