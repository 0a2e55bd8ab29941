import { parseArgs } from "node:util";

export interface BenchOptions {
  quick: boolean;
  /** Works and contenders. Empty: all of them. */
  only: readonly string[];
  /** Where the samples are written. */
  json: string | undefined;
  /** Samples of an earlier run, to write the report of. */
  from: string | undefined;
}

export const usage = `Usage: npm run bench [-- options]

Measures the package as it is built, beside yardsticks, and writes bench/README.md and its plots.

  --quick      at most two minutes, and writes no README
  --only NAME  only this work or this contender, and writes no README; may be repeated
  --json FILE  writes each measurement to a file
  --from FILE  measures nothing, and writes the README of a file of --json
`;

/** Throws on what cannot be understood. */
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
