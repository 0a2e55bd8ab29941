import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { RelayMetrics } from "../../../../server/telemetry/relay-metrics.js";
import { newRelay } from "../../../fakes/relays.js";

const read = (path: string) => readFileSync(new URL(`../../../../${path}`, import.meta.url), "utf8");
const metricName = /\b(?:bss|nodejs|process)_[a-z0-9_]+/g;

const { relay } = newRelay();
const counts = { leases: 0, offers: 0, streams: 0, legs: 0, links: 0, channels: 0, watchers: 0 };
const metrics = new RelayMetrics({ relay, counts: () => counts });
const known = new Set([...(await metrics.text()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
metrics.close();
const own = [...known].filter((name) => name?.startsWith("bss_"));

/** The metrics that a text names, without the endings that Prometheus gives to the series of a histogram. */
function metricsIn(text: string): string[] {
  const names = [...text.matchAll(metricName)].map(([name]) =>
    name.replace(/_seconds_(bucket|sum|count)$/, "_seconds"),
  );
  return [...new Set(names)];
}

describe.each(["grafana-dashboard.json", "alerts.yml"])("examples/monitoring/%s", (file) => {
  test("asks for metrics that a relay has", () => {
    const asked = metricsIn(read(`examples/monitoring/${file}`));
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((name) => !known.has(name))).toEqual([]);
  });
});

test("the dashboard and docs/monitoring.md have every metric of a relay", () => {
  const [shown, described] = ["examples/monitoring/grafana-dashboard.json", "docs/monitoring.md"].map((path) =>
    metricsIn(read(path)),
  );
  expect(own.filter((name) => !shown?.includes(name as string))).toEqual([]);
  expect(own.filter((name) => !described?.includes(name as string))).toEqual([]);
});

test("docs/monitoring.md has every event of the log", () => {
  const sources = ["server/telemetry/relay-log.ts", "cli/serve/relay-log.ts"].map(read).join("");
  const streams = ["offered", "accepted", "adopted", "suspended", "resumed", "ended"].map((what) => `stream.${what}`);
  const events = new Set([...sources.matchAll(/event: "([a-z.]+)"/g)].map(([, event = ""]) => event).concat(streams));
  const page = read("docs/monitoring.md");
  expect([...events].filter((event) => !page.includes(`\`${event}\``))).toEqual([]);
});

test("docs/monitoring.md says what to do about each alert", () => {
  const alerts = [...read("examples/monitoring/alerts.yml").matchAll(/^ *- alert: (\w+)$/gm)].map(([, name]) => name);
  expect(alerts).toHaveLength(8);
  const page = read("docs/monitoring.md");
  expect(alerts.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
