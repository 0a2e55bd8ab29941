import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, run, withTemporaryFolder } from "./command.ts";
import { type DebianProgram, installProgram } from "./programs/debian-program.ts";
import { inPath } from "./programs/preparation.ts";
import { failed, type Outcome, passed, skipped } from "./step.ts";

const promtool: DebianProgram = { name: "promtool", packages: ["prometheus"], find: () => inPath("promtool")[0] };
const rulesFile = "examples/monitoring/alerts.yml";
const testFile = "test/alerts/alerts.test.yml";

/**
 * The example's configuration and rules for Prometheus are valid, as is each query of the dashboard, and each alert is
 * fired by a test.
 */
export async function checkAlerts(): Promise<Outcome> {
  const obstacle = await installProgram(promtool);
  if (obstacle !== undefined) return skipped(obstacle);
  const why = await withTemporaryFolder(async (folder) => {
    const queries = join(folder, "dashboard.json");
    writeFileSync(queries, JSON.stringify(rulesOf(dashboardQueries())));
    for (const args of [
      ["check", "config", "examples/monitoring/prometheus.yml"],
      ["check", "rules", queries],
      ["test", "rules", testFile],
    ]) {
      const { code, output } = await run("promtool", args);
      if (code !== 0) return output;
    }
    return undefined;
  });
  if (why !== undefined) return failed(why);
  const alerts = namesIn(rulesFile, /^ *- alert: (\w+)$/gm);
  const fired = namesIn(testFile, /alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts:\n/g);
  const unfired = alerts.filter((name) => !fired.includes(name));
  if (unfired.length > 0) return failed(`no test fires ${unfired.join(", ")}`);
  return passed(`${alerts.length} alerts`);
}

/** The queries of the dashboard, with values for Grafana's variables. */
function dashboardQueries(): string[] {
  const { panels } = JSON.parse(readFileSync(join(root, "examples/monitoring/grafana-dashboard.json"), "utf8")) as {
    panels: { targets: { expr: string }[] }[];
  };
  const queries = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  return queries.map((expr) => expr.replaceAll("$__rate_interval", "5m").replaceAll(/\$\w+/g, "relay"));
}

/** Rules that record the queries: promtool checks the queries of rules alone. JSON is YAML as well. */
function rulesOf(queries: readonly string[]): object {
  const rules = queries.map((expr, at) => ({ record: `query:${at}`, expr }));
  return { groups: [{ name: "dashboard", rules }] };
}

function namesIn(path: string, pattern: RegExp): string[] {
  return [...readFileSync(join(root, path), "utf8").matchAll(pattern)].map(([, name = ""]) => name);
}
