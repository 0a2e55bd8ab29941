import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expectSuccess, root, run, withTemporaryFolder } from "./command.ts";
import { failed, type Outcome } from "./step.ts";

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  name: string;
  dependencies: Record<string, string>;
};

/** Packs the build as npm would publish it, and hands on the tarball. */
function withTarball(check: (tarball: string, folder: string) => Promise<Outcome>): Promise<Outcome> {
  return withTemporaryFolder(async (folder) => {
    if (!existsSync(join(root, "dist"))) return failed("there is no dist/ to pack: the build failed, or was not run");
    const pack = ["pack", "--ignore-scripts", "--loglevel=error", "--pack-destination", folder];
    const { code, output } = await run("npm", pack);
    const name = output.trim().split("\n").at(-1) ?? "";
    if (code !== 0 || !name.endsWith(".tgz")) return failed(`npm pack (exit code ${code})\n${output.trim()}`);
    return check(join(folder, name), folder);
  });
}

export const checkPublint = () => withTarball((tarball) => expectSuccess("publint", ["run", tarball, "--strict"]));

export const checkAttw = () =>
  withTarball((tarball) =>
    expectSuccess("attw", [tarball, "--profile", "esm-only", "--format", "ascii", "--no-color", "--no-emoji"]),
  );

const consumer = `
import { StreamClient, StreamServer } from "${manifest.name}";
import * as gen from "${manifest.name}/gen";
import { StreamServerProxy } from "${manifest.name}/server";
for (const each of [StreamServer, StreamClient, StreamServerProxy]) {
  if (typeof each !== "function") throw new Error("an export is missing");
}
if (Object.keys(gen).length === 0) throw new Error("./gen exports nothing");
`;

const consumerOptions = {
  module: "nodenext",
  target: "es2023",
  lib: ["es2023"],
  types: ["node"],
  strict: true,
  noEmit: true,
  skipLibCheck: true,
};

/** The packed package works where only what it declares is installed: it loads in Node, and its types resolve. */
export const checkConsumer = () =>
  withTarball(async (tarball, folder) => {
    const modules = join(folder, "node_modules");
    const installed = join(modules, manifest.name);
    mkdirSync(installed, { recursive: true });
    const unpacked = await expectSuccess("tar", ["-xf", tarball, "--strip-components=1", "-C", installed]);
    if (unpacked.kind !== "passed") return unpacked;
    for (const name of [...Object.keys(manifest.dependencies), "@types/node"]) {
      mkdirSync(dirname(join(modules, name)), { recursive: true });
      symlinkSync(join(root, "node_modules", name), join(modules, name), "dir");
    }
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(join(folder, "consumer.ts"), consumer);
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: consumerOptions }));
    const compiled = await expectSuccess("tsc", ["-p", folder]);
    if (compiled.kind !== "passed") return compiled;
    return expectSuccess(process.execPath, [join(folder, "consumer.ts")], { cwd: folder, timeoutMs: 20_000 });
  });
