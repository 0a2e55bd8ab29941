import { join } from "node:path";
import { findChromium } from "../../setup/chromium.ts";
import { grpcJsPrograms } from "../../setup/example-programs.ts";
import { installProgram } from "../programs/debian-program.ts";
import { enginePrograms } from "../programs/engine-programs.ts";
import { prepareGo, prepareGoTools } from "../programs/go-toolchain.ts";
import { madeFrom, obstacleIn, type Preparation } from "../programs/preparation.ts";
import { preparePython, prepareWebsocat } from "../programs/python-toolchain.ts";
import { isCi, type Outcome, skipped } from "../step.ts";
import { runTests } from "./test-run.ts";

const prepareGrpcJs: Preparation = () => {
  const { folder, outFolder } = grpcJsPrograms;
  // Inside of what npm ci removes first.
  return madeFrom(join(folder, "package-lock.json"), join(outFolder, ".made-from.json"), () =>
    obstacleIn({ cwd: folder }, ["npm", "ci"]),
  );
};

/** The preparations run in this order, because Go may come by way of Python. */
const preparations: Record<string, Preparation> = {
  ...Object.fromEntries(enginePrograms.map((program) => [program.name, () => installProgram(program)])),
  python: preparePython,
  websocat: prepareWebsocat,
  go: prepareGo,
  "grpc-js": prepareGrpcJs,
  curl: prepareGoTools,
};

/** Each kind of listener with each kind of client, after installing what they need where that is possible. */
export async function runInteropTests(timeoutMs: number): Promise<Outcome> {
  const missing: string[] = [];
  for (const [kind, prepare] of Object.entries(preparations)) {
    const obstacle = await prepare();
    if (obstacle !== undefined) missing.push(`${kind}: ${obstacle}`);
  }
  if (missing.length > 0 && isCi) return skipped(missing.join("\n"));
  const outcome = await runTests("interop", timeoutMs, { CHROMIUM: findChromium() ?? "" });
  if (missing.length === 0 || outcome.kind !== "passed") return outcome;
  return { ...outcome, note: [outcome.note, "not run:", ...missing].join("\n") };
}
