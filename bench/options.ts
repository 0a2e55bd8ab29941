import { parseArgs } from "node:util";

export interface BenchOptions {
  quick: boolean;
  /** The works and contenders to measure. Empty for all of them. */
  only: readonly string[];
  /** The file to write the samples to. */
  json: string | undefined;
  /** The file with the samples of an earlier run, of which the report is written. */
  from: string | undefined;
}

export const usage = `Usage: npm run bench [-- options]

Measures the package as it is built, beside yardsticks, and writes bench/README.md and its plots.

  --quick      at most two minutes, and writes no README
  --only NAME  only this work or this contender, and writes no README; may be repeated
  --json FILE  writes each measurement to a file
  --from FILE  measures nothing, and writes the README of a file of --json
`;

/** Throws if an argument is unknown or lacks its value. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      json: { type: "string" },
      from: { type: "string" },
    },
  });
  return { quick: values.quick, only: values.only, json: values.json, from: values.from };
}
