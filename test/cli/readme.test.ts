import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { readmeBlocks } from "../readme.js";
import { type RelayProcess, startRelay } from "../relay-process.js";

const root = resolve(import.meta.dirname, "../..");
const commands = readmeBlocks("sh").map((block) => block.trim());
const folder = mkdtempSync(join(tmpdir(), "bss-"));

let relay: RelayProcess;
beforeAll(async () => {
  relay = await startRelay("--host", "127.0.0.1");
  // This is the README's command, with a prefix of this test's own.
  const args = ["install", "--global", "--prefix", folder, "--ignore-scripts", root];
  const link = spawn("npm", args, { cwd: folder, stdio: "ignore" });
  expect((await once(link, "close"))[0]).toBe(0);
});
afterAll(async () => {
  await relay.stop();
  rmSync(folder, { recursive: true });
});

/** A command of the README, in a shell of its own. */
function shell(command: string, cwd = folder) {
  // Node 24 comes first, as it does for whoever has installed it.
  const path = [join(folder, "bin"), dirname(process.execPath), process.env.PATH].join(delimiter);
  const child = spawn("bash", ["-c", `set -o pipefail; ${command}`], {
    cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH: path, BSS_RELAY: relay.origin },
  });
  const exited = once(child, "close").then(([code]) => code as number | null);
  onTestFinished(async () => {
    if (child.exitCode === null) process.kill(-(child.pid ?? 0), "SIGKILL");
    await exited;
  });
  const lines = createInterface({ input: child.stderr });
  return { exited, line: async () => (await once(lines, "line"))[0] as string };
}

function command(beginning: string): string {
  const found = commands.find((each) => each.startsWith(beginning));
  if (found === undefined) throw new Error(`the README has no ${beginning}`);
  return found;
}

test("the README's commands are these", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(commands).toEqual([
    // The test in test/browser/page/front-door.test.ts runs these commands, with the packed package.
    "npm install browser-stream-server",
    "npx browser-stream-server serve",
    "npx browser-stream-server serve --page .",
    // The test in test/interop/readme-samples.test.ts runs these commands, with tabs of three engines.
    "curl http://localhost:8080/~/notebook/cells",
    "curl http://notebook.localhost:8080/cells",
    "bss connect calculator --grpc-port 5000",
    expect.stringMatching(/^grpcurl /),
    "bss mcp tab",
    "websocat ws://localhost:8080/~/SERVER_NAME/",
    "npm install --global browser-stream-server",
    expect.stringMatching(/^bss listen photos/),
    expect.stringMatching(/^tar c photos/),
    expect.stringMatching(/^bss listen web/),
    expect.stringMatching(/^bss connect web/),
    // The test in test/interop/readme-samples.test.ts runs this command too.
    "bss listen web --http localhost:3000",
    "npm ci && npm start",
    "npm ci && npm test",
  ]);
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining(["start", "test"]));
  for (const name of ["bss", "browser-stream-server"]) expect(existsSync(join(folder, "bin", name))).toBe(true);
});

test("a folder goes from one machine to another", async () => {
  const there = join(folder, "there");
  mkdirSync(join(folder, "photos"));
  mkdirSync(there);
  writeFileSync(join(folder, "photos", "a.jpg"), "a picture");
  const listener = shell(command("bss listen photos"), there);
  await listener.line();
  const client = shell(command("tar c photos"));
  expect(await Promise.all([listener.exited, client.exited])).toEqual([0, 0]);
  expect(readFileSync(join(there, "photos", "a.jpg"), "utf8")).toBe("a picture");
});

test("a TCP port of one appears on the other", async () => {
  const web = createServer((_, response) => response.end("a page")).listen(0, "127.0.0.1");
  onTestFinished(() => void web.close());
  await once(web, "listening");
  const { port } = web.address() as AddressInfo;
  await shell(command("bss listen web").replace("localhost:3000", `127.0.0.1:${port}`)).line();
  const said = await shell(command("bss connect web").replace("--port 4000", "--port 0")).line();
  const url = `http://${/127\.0\.0\.1:\d+/.exec(said)?.[0]}/`;
  const response = await fetch(url, { headers: { connection: "close" } });
  expect(await response.text()).toBe("a page");
});
