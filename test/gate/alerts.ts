import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root, run } from "./command.ts";
import { type DebianProgram, installProgram } from "./debian-program.ts";
import { inPath } from "./preparation.ts";
import { failed, type Outcome, passed, skipped } from "./step.ts";

const promtool: DebianProgram = { name: "promtool", packages: ["prometheus"], find: () => inPath("promtool")[0] };
const rulesFile = "examples/monitoring/alerts.yml";
const testFile = "test/alerts/alerts.test.yml";

/** The example's configuration and rules for Prometheus are valid, and each alert is fired by a test. */
export async function checkAlerts(): Promise<Outcome> {
  const obstacle = await installProgram(promtool);
  if (obstacle !== undefined) return skipped(obstacle);
  for (const args of [
    ["check", "config", "examples/monitoring/prometheus.yml"],
    ["test", "rules", testFile],
  ]) {
    const { code, output } = await run("promtool", args);
    if (code !== 0) return failed(output);
  }
  const alerts = namesIn(rulesFile, /^ *- alert: (\w+)$/gm);
  const fired = namesIn(testFile, /alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts:\n/g);
  const unfired = alerts.filter((name) => !fired.includes(name));
  if (unfired.length > 0) return failed(`no test fires ${unfired.join(", ")}`);
  return passed(`${alerts.length} alerts`);
}

function namesIn(path: string, pattern: RegExp): string[] {
  return [...readFileSync(join(root, path), "utf8").matchAll(pattern)].map(([, name = ""]) => name);
}
