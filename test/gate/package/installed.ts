import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";
import { expectSuccess, root } from "../command.ts";
import { failed, type Outcome, passed } from "../step.ts";
import { installInto, withTarball } from "./tarball.ts";

const { name, dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  name: string;
  dependencies: Record<string, string>;
};

/** Transports that an application would bring along, in the newest version that goes with the package. */
const companions = ["@connectrpc/connect-web", "@connectrpc/connect-node"];
const programs = ["ways-check", "command-check"];

const consumer = `
import { StreamClient, StreamServer } from "${name}";
import * as client from "${name}/client.js";
import * as gen from "${name}/gen";
import { connectHandler, createStreamTransport } from "${name}/connect";
import { createFetch, serve } from "${name}/http";
import { McpTransport } from "${name}/mcp";
import { StreamServerProxy } from "${name}/server";
import { asWebSocket, webSocketOf } from "${name}/websocket";
for (const each of [StreamServer, StreamClient, StreamServerProxy, client.StreamServer, serve, createFetch, connectHandler, createStreamTransport, McpTransport, asWebSocket, webSocketOf]) {
  if (typeof each !== "function") throw new Error("an export is missing");
}
if (Object.keys(gen).length === 0) throw new Error("./gen exports nothing");
`;

/** Tools that play a page in Node, as jest does with jsdom, look for both flavours and want the page's. */
const pageFlavour = `
for (const [specifier, file] of [["${name}", "web/index"], ["${name}/http", "http/index"], ["${name}/connect", "http/connect"]]) {
  const found = import.meta.resolve(specifier);
  if (!found.endsWith("/dist/" + file + ".js")) throw new Error("a page in Node gets " + found);
}
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

/**
 * The package works as people install it, in an empty folder and without this repository's lock file: its types
 * resolve, it keeps the stream contract over every way that Node has to a relay, and nothing holds what a stream has
 * received. A release of a dependency that breaks one of these is noticed here before people get it.
 *
 * The ranges for Connect in package.json admit patches only. The package uses those modules of Connect from which
 * transports are made, and these follow no semantic versioning: 2.3.0 came with a client that holds all that it has
 * received.
 */
export const checkInstalled = () =>
  withTarball(async (tarball, folder) => {
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
    const obstacle = await installInto(folder, [tarball, ...companions]);
    if (obstacle !== undefined) return failed(obstacle);
    const checks = [() => checkConsumer(folder), ...programs.map((program) => () => runProgram(folder, program))];
    for (const check of checks) {
      const outcome = await check();
      if (outcome.kind === "failed") return failed(`${outcome.why}\nInstalled: ${versionsIn(folder)}`);
    }
    return passed(versionsIn(folder));
  });

async function checkConsumer(folder: string): Promise<Outcome> {
  mkdirSync(join(folder, "node_modules/@types"), { recursive: true });
  symlinkSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"), "dir");
  writeFileSync(join(folder, "consumer.ts"), consumer);
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: consumerOptions }));
  const compiled = await expectSuccess("tsc", ["-p", folder]);
  if (compiled.kind !== "passed") return compiled;
  const options = { cwd: folder, timeoutMs: 20_000 };
  const page = await expectSuccess(
    process.execPath,
    ["-C", "browser", "--input-type=module", "-e", pageFlavour],
    options,
  );
  if (page.kind !== "passed") return page;
  return expectSuccess(process.execPath, [join(folder, "consumer.ts")], options);
}

/** Runs a program of test/installed in the folder, where it finds the installed package. */
async function runProgram(folder: string, program: string): Promise<Outcome> {
  await build({
    configFile: false,
    root,
    logLevel: "error",
    ssr: { external: true },
    build: { ssr: join(root, `test/installed/${program}.ts`), outDir: folder, emptyOutDir: false, minify: false },
  });
  const args = ["--expose-gc", join(folder, `${program}.js`)];
  return expectSuccess(process.execPath, args, { cwd: folder, timeoutMs: 120_000 });
}

/** The versions of the package's dependencies that were installed. */
function versionsIn(folder: string): string {
  const versions = Object.keys(dependencies).map((dependency) => {
    const manifest = readFileSync(join(folder, "node_modules", dependency, "package.json"), "utf8");
    return `${dependency}@${(JSON.parse(manifest) as { version: string }).version}`;
  });
  return versions.join(", ");
}
