import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expectSuccess } from "../command.ts";
import { failed, type Outcome, passed } from "../step.ts";
import { installInto, withTarball } from "./tarball.ts";

const packages = ["parcel", "rollup", "@rollup/plugin-node-resolve", "webpack", "webpack-cli", "esbuild"];

/** A page's program, which ends with an error if it did not get what it imports. */
const page = `
import { StreamClient, StreamServer } from "browser-stream-server";
if (typeof StreamServer !== "function" || typeof StreamClient !== "function") throw new Error("an export is missing");
`;

/** Each bundler as it comes, with no more than it takes to look into node_modules at all. */
const builds: Record<string, string[]> = {
  parcel: ["parcel", "build", "page.js", "--no-cache", "--dist-dir", "../out/parcel"],
  rollup: ["rollup", "page.js", "--plugin", "node-resolve={browser: true}", "--dir", "../out/rollup"],
  webpack: ["webpack", "./page.js", "--mode=production", "--output-path=../out/webpack", "--output-filename=page.js"],
  esbuild: ["esbuild", "page.js", "--bundle", "--format=esm", "--outfile=../out/esbuild/page.js"],
};

/**
 * Bundlers that are not part of this repository make a page of the package, and nothing is left for the page to import.
 */
export const checkBundlers = () =>
  withTarball(async (tarball, folder) => {
    const app = join(folder, "app");
    const out = join(folder, "out");
    for (const each of [app, out]) {
      mkdirSync(each);
      writeFileSync(join(each, "package.json"), JSON.stringify({ private: true, type: "module" }));
    }
    writeFileSync(join(app, "page.js"), page);
    const obstacle = await installInto(app, [tarball, ...packages], { allowsWarnings: true });
    if (obstacle !== undefined) return failed(obstacle);
    for (const [bundler, [program = "", ...args]] of Object.entries(builds)) {
      const outcome = await check(bundler, join(app, "node_modules/.bin", program), args, app, out);
      if (outcome.kind === "failed") return outcome;
    }
    return passed(Object.keys(builds).join(", "));
  });

async function check(bundler: string, program: string, args: string[], app: string, out: string): Promise<Outcome> {
  const built = await expectSuccess(program, args, { cwd: app, timeoutMs: 60_000 });
  if (built.kind === "failed") return built;
  // Out of reach of the installed packages.
  return expectSuccess(process.execPath, [join(out, bundler, "page.js")], { cwd: out, timeoutMs: 20_000 });
}
