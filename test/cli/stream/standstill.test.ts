import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { RelayLimits } from "browser-stream-server/server";
import { expect, onTestFinished, test } from "vitest";
import { CommandLine } from "../command-line.js";
import { startLimitedRelay } from "../file-relay.js";

const heartbeatIntervalMs = 1_000;
/** Two heartbeats; a link waits for two and a half. */
const standstillMs = 2 * heartbeatIntervalMs;

/** A relay that does not go on when its test fails could not be ended. */
async function startStandingRelay(limits: Partial<RelayLimits>) {
  const relay = await startLimitedRelay(limits);
  onTestFinished(() => {
    relay.child.kill("SIGCONT");
    void relay.stop();
  });
  return relay;
}

test("listen and connect outlive a relay that stands still for two heartbeats", async () => {
  const relay = await startStandingRelay({ heartbeatIntervalMs });
  const run = (...args: string[]) => new CommandLine([...args, "--relay", relay.origin]);
  const [idle, talking] = [run("listen", "idle"), run("listen", "talking")];
  await Promise.all([idle.hasSaid(), talking.hasSaid()]);
  const talker = run("connect", "talking");
  talker.child.stdin.write("before ");
  await once(talking.child.stdout, "data");

  relay.child.kill("SIGSTOP");
  await sleep(standstillMs);
  relay.child.kill("SIGCONT");

  const client = run("connect", "idle");
  for (const { child } of [idle, talking]) child.stdin.end();
  client.child.stdin.end("from a new client");
  talker.child.stdin.end("after");
  const outputs = Promise.all([idle, talking].map((listener) => listener.output()));
  for (const command of [client, talker]) command.child.stdout.resume();
  expect((await outputs).map(String)).toEqual(["from a new client", "after"]);
  expect(await Promise.all([idle, talking, client, talker].map(({ exitCode }) => exitCode))).toEqual([0, 0, 0, 0]);
});

test("a relay that stands still for longer, and for the grace period, is lost after heartbeats of its own length: 6", async () => {
  const relay = await startStandingRelay({ heartbeatIntervalMs, graceMs: 1_000 });
  const run = (...args: string[]) => new CommandLine([...args, "--relay", relay.origin]);
  const listener = run("listen", "idle");
  await listener.hasSaid();
  const talking = run("listen", "talking");
  await talking.hasSaid();
  const talker = run("connect", "talking");
  talker.child.stdin.write("something");
  await once(talking.child.stdout, "data");
  relay.child.kill("SIGSTOP");
  for (const { child } of [listener, talking, talker]) child.stdout.resume();
  const codes = Promise.all([listener, talking, talker].map(({ exitCode }) => exitCode));
  // Two and a half heartbeats, the grace period, and time for three processes on a machine that is at work.
  expect(await Promise.race([codes, sleep(10_000, "too late", { ref: false })])).toEqual([6, 6, 6]);
});
