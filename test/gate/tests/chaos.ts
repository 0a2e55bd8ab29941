import { findChromium } from "../../setup/chromium.ts";
import { expectSuccess } from "../command.ts";
import { type Outcome, skipped } from "../step.ts";

/** Histories of each carrier: with two cores, all of them take half a minute. */
const histories = 12;
const timeoutMs = 240_000;

const play = (...args: string[]) => expectSuccess("node", ["test/chaos/main.ts", ...args], { timeoutMs });

/** Nothing is lost in a few random histories. The output of a run that fails names its seed. */
export function checkChaos(): Promise<Outcome> {
  return play("--histories", String(histories), "--concurrency", "20", "--no-shrink");
}

/** Nothing is lost in the short forms of the long runs. */
export function checkScenarios(): Promise<Outcome> {
  const names = ["cuts", "kill", "keyless", "outages", "rolling", "leaks", "namespace"];
  return play("--short", ...names.flatMap((name) => ["--scenario", name]));
}

/** Nothing is lost in tabs that are cut off, frozen and loaded again. */
export async function checkTabs(): Promise<Outcome> {
  if (findChromium() === undefined) return skipped("there is no Chromium; the step `browser` installs it on Debian");
  return play("--short", ...["tab-cuts", "frozen", "reloads"].flatMap((name) => ["--scenario", name]));
}
