import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { isCi } from "../gate/step.js";
import { readmeBlocks } from "../readme.js";
import { type RelayProcess, startRelay } from "../relay-process.js";
import {
  type ExamplePrograms,
  goPrograms,
  grpcJsPrograms,
  missingProgram,
  pythonPrograms,
} from "../setup/example-programs.js";

const root = resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "bss-examples-"));
// Node 24 comes first; where the machine has no Go of its own, it lies beside the tests' Python.
const path = [dirname(process.execPath), process.env.PATH, join(pythonPrograms.outFolder, "bin")].join(delimiter);

let relay: RelayProcess;
beforeAll(async () => {
  relay = await startRelay("--host", "127.0.0.1");
  const isMade = /\/(node_modules|\.venv|__pycache__)$/;
  for (const part of ["proto", "examples", "docs"]) {
    cpSync(join(root, part), join(folder, part), { recursive: true, filter: (source) => !isMade.test(source) });
  }
});
afterAll(async () => {
  await relay.stop();
  rmSync(folder, { recursive: true });
});

/** A command of an example's README, in that example's folder. */
function shell(command: string, cwd: string) {
  const child = spawn("bash", ["-c", command.replace("localhost:8080", new URL(relay.origin).host)], {
    cwd,
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, PATH: path },
  });
  const closed = once(child, "close");
  onTestFinished(async () => {
    try {
      // The group contains the programs that the shell has started, too.
      process.kill(-(child.pid ?? 0), "SIGKILL");
    } catch {
      // The group has ended.
    }
    await closed;
  });
  return child;
}

const examples: [string, ExamplePrograms][] = [
  ["python", pythonPrograms],
  ["go", goPrograms],
  ["node", grpcJsPrograms],
];

// In CI nothing may be missing.
const runnable = examples.filter(([, programs]) => isCi || missingProgram(programs) === undefined);

/** One command listens, and the other one hears itself. Then the name is free. */
async function expectEcho(listen: string, connect: string, cwd: string): Promise<void> {
  const listener = shell(listen, cwd);
  for await (const line of createInterface({ input: listener.stdout })) if (line === "listening") break;
  const client = shell(connect, cwd);
  client.stdin.end("across\n");
  const [said] = await Promise.all([text(client.stdout), once(client, "close")]);
  expect(client.exitCode).toBe(0);
  expect(said.split("\n")).toContain("across");
  const closed = once(listener, "close");
  process.kill(-(listener.pid ?? 0), "SIGINT");
  await closed;
}

test.each(runnable)("the commands of examples/%s/README.md are echoes, and the vectors pass", async (name) => {
  const cwd = join(folder, "examples", name);
  const commands = readmeBlocks("sh", readFileSync(join(cwd, "README.md"), "utf8"));
  const [listen = "", connect = "", listenOn = "", connectAgain = "", playVectors = ""] = commands;
  await expectEcho(listen, connect, cwd);
  await expectEcho(listenOn, connectAgain, cwd);
  const vectors = shell(playVectors, cwd);
  vectors.stdout.resume();
  await once(vectors, "close");
  expect(vectors.exitCode).toBe(0);
});
