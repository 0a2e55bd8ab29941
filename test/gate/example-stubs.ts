import { dirname, join } from "node:path";
import { calculatorGo, goPrograms, pythonPrograms } from "../setup/example-programs.ts";
import { root, run, withTemporaryFolder } from "./command.ts";
import { differences, readTree } from "./generated.ts";
import { conformanceProtos, findGo, goEnv } from "./programs/go-toolchain.ts";
import { installPackages, preparePython, venvPython } from "./programs/python-toolchain.ts";
import { failed, type Outcome, passed, skipped } from "./step.ts";

const proto = join(root, "proto");
const files = ["failure", "frame", "relay"].map((name) => `streamserver/v1/${name}.proto`);
/** Python's stubs lie between the programs. */
const isStub = (path: string) => path.endsWith(".py");

async function pythonProblems(folder: string): Promise<string[]> {
  const protoc = ["-m", "grpc_tools.protoc", "-I", proto];
  for (const args of [
    [`--python_out=${folder}`, ...files],
    [`--grpc_python_out=${folder}`, "streamserver/v1/relay.proto"],
  ]) {
    const { code, output } = await run(venvPython, [...protoc, ...args]);
    if (code !== 0) return [`grpc_tools.protoc (exit code ${code})`, output.trim()];
  }
  const stubs = join(pythonPrograms.folder, "streamserver");
  const present = new Map([...readTree(stubs)].filter(([path]) => isStub(path)));
  return differences(readTree(join(folder, "streamserver")), present, "examples/python/streamserver");
}

async function goProblems(folder: string, go: string, cwd: string, name: string): Promise<string[]> {
  const env = { ...goEnv, PATH: `${join(root, "node_modules/.bin")}:${dirname(go)}:${process.env.PATH}` };
  const { code, output } = await run("buf", ["generate", "--output", folder], { cwd, env });
  if (code !== 0) return [`buf generate in ${name} (exit code ${code})`, output.trim()];
  return differences(readTree(join(folder, "gen")), readTree(join(cwd, "gen")), `${name}/gen`);
}

const conformance = "test/interop/conformance";
const conformanceFiles = ["client_compat", "config", "server_compat", "service"].map(
  (name) => `connectrpc/conformance/v1/${name}.proto`,
);

/** The stubs of the calculator in other languages; those in JavaScript are of the step `generated`. */
async function calculatorProblems(folder: string, go: string): Promise<string[]> {
  const calculator = join(root, "examples/calculator");
  const outs = [`--python_out=${folder}`, `--grpc_python_out=${folder}`];
  const args = ["-m", "grpc_tools.protoc", "-I", calculator, ...outs, "calculator.proto"];
  const python = await run(venvPython, args);
  if (python.code !== 0) return [`grpc_tools.protoc (exit code ${python.code})`, python.output.trim()];
  const present = [...readTree(join(calculator, "python"))].filter(([path]) => /_pb2(_grpc)?\.py$/.test(path));
  const stubs = differences(readTree(folder), new Map(present), "examples/calculator/python");
  return [...stubs, ...(await goProblems(folder, go, calculatorGo.folder, "examples/calculator/go"))];
}

/** The code for the conformance suite's service is what its proto files give. */
async function conformanceProblems(folder: string, go: string): Promise<string[]> {
  const protos = conformanceProtos(go);
  const paths = conformanceFiles.flatMap((file) => ["--path", join(protos, file)]);
  const cwd = join(root, conformance);
  const { code, output } = await run("buf", ["generate", protos, ...paths, "--output", folder], { cwd });
  if (code !== 0) return [`buf generate in ${conformance} (exit code ${code})`, output.trim()];
  return differences(readTree(join(folder, "gen")), readTree(join(cwd, "gen")), `${conformance}/gen`);
}

/**
 * The stubs of the examples are what their READMEs' commands would make of proto/, and those of the conformance suite
 * what its own files give.
 */
export async function checkExampleStubs(): Promise<Outcome> {
  const requirements = join(pythonPrograms.folder, "requirements-dev.txt");
  const obstacle = (await preparePython()) ?? (await installPackages("--requirement", requirements));
  if (obstacle !== undefined) return skipped(obstacle);
  const go = findGo();
  if (go === undefined) return skipped("there is no Go that is new enough");
  const problems = [
    ...(await withTemporaryFolder(pythonProblems)),
    ...(await withTemporaryFolder((folder) => goProblems(folder, go, goPrograms.folder, "examples/go"))),
    ...(await withTemporaryFolder((folder) => calculatorProblems(folder, go))),
    ...(await withTemporaryFolder((folder) => conformanceProblems(folder, go))),
  ];
  if (problems.length === 0) return passed();
  return failed([...problems, "Run what the examples' READMEs say"].join("\n"));
}
