import { parseArgs } from "node:util";
import { type Carrier, carriers } from "./carriers.ts";
import { type History, parseHistory } from "./history/history.ts";
import type { Scenario } from "./scenarios/scenario.ts";
import { scenarios } from "./scenarios/scenarios.ts";

export interface ChaosOptions {
  seed: number;
  histories: number;
  concurrency: number;
  carriers: readonly Carrier[];
  replay: History | undefined;
  times: number;
  /** Run in place of histories. */
  scenarios: readonly Scenario[];
  /** Whether scenarios are run in part only. */
  isShort: boolean;
  /** Whether the first history that fails is shrunk. */
  shrinks: boolean;
  writesReport: boolean;
}

export const usage = `Usage: npm run test:chaos [-- options]

Plays random histories of streams, cuts and restarts over every carrier, and checks that nothing was lost.

  --seed N         the seed of the first history (default: drawn, and printed)
  --histories M    the number of histories of each carrier (default 100)
  --concurrency N  the number of histories at once (default 16)
  --carrier NAME   only this carrier: ${carriers.join(", ")}; may be repeated
  --replay TEXT    plays this one history, as a failure prints it
  --times N        plays it so many times (default 1)
  --no-shrink      does not look for a shorter history that fails
  --scenario NAME  runs a scenario in place of histories: ${scenarios.map(({ name }) => name).join(", ")},
                   or all of them; may be repeated
  --short          runs a part of the scenario, in seconds
  --report         writes the figures to docs/chaos.md
`;

/** Throws if an argument is unknown or has a value that cannot be. */
export function readOptions(args: readonly string[]): ChaosOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string" },
      histories: { type: "string", default: "100" },
      concurrency: { type: "string", default: "16" },
      carrier: { type: "string", multiple: true, default: [] },
      replay: { type: "string" },
      times: { type: "string", default: "1" },
      scenario: { type: "string", multiple: true, default: [] },
      short: { type: "boolean", default: false },
      "no-shrink": { type: "boolean", default: false },
      report: { type: "boolean", default: false },
    },
  });
  const number = (name: string, text: string) => {
    if (!/^\d+$/.test(text)) throw new Error(`--${name} takes a whole number, not ${text}`);
    return Number(text);
  };
  const unknown = values.carrier.find((name) => !carriers.includes(name as Carrier));
  if (unknown !== undefined) throw new Error(`no such carrier: ${unknown}`);
  return {
    seed: number("seed", values.seed ?? String(Math.floor(Math.random() * 1_000_000_000))),
    histories: number("histories", values.histories),
    concurrency: number("concurrency", values.concurrency),
    carriers: values.carrier.length > 0 ? (values.carrier as Carrier[]) : carriers,
    replay: values.replay === undefined ? undefined : parseHistory(values.replay),
    times: number("times", values.times),
    scenarios: values.scenario.flatMap(scenariosOf),
    isShort: values.short,
    shrinks: !values["no-shrink"],
    writesReport: values.report,
  };
}

function scenariosOf(name: string): readonly Scenario[] {
  const found = name === "all" ? scenarios : scenarios.filter((scenario) => scenario.name === name);
  if (found.length === 0) throw new Error(`no such scenario: ${name}`);
  return found;
}
