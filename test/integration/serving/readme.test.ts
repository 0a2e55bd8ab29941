import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { defaultLimits } from "browser-stream-server/server";
import { expect, onTestFinished, test } from "vitest";
import { readmeBlocks, readmeTable } from "../../readme.js";
import { openRelay } from "../relay-ports.js";

const packageFolder = fileURLToPath(new URL("../../..", import.meta.url));

/** The lines that a program prints, of which some can be waited for. */
class Program {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();

  constructor(path: string) {
    this.#child = spawn(process.execPath, [path], { stdio: ["ignore", "pipe", "inherit"] });
    createInterface({ input: this.#child.stdout as Readable }).on("line", (line) => {
      this.lines.push(line);
      for (const check of [...this.#waiting]) check();
    });
  }

  prints(line: RegExp): Promise<string> {
    return new Promise((resolve) => {
      const check = () => {
        const found = this.lines.find((each) => line.test(each));
        if (found === undefined) return;
        this.#waiting.delete(check);
        resolve(found);
      };
      this.#waiting.add(check);
      check();
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill();
    await once(this.#child, "close");
  }
}

test("the README's three samples run in Node as they stand, but for the port and the grace period", async () => {
  const [listening = "", connecting = "", relaying = ""] = readmeBlocks("js");
  // Inside the package, where its own name leads to its build.
  const folder = await mkdtemp(join(packageFolder, "test/readme-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  async function run(name: string, sample: string, before: string, after: string): Promise<Program> {
    expect(sample).toContain(before);
    const path = join(folder, `${name}.mjs`);
    await writeFile(path, sample.replace(before, after));
    const program = new Program(path);
    onTestFinished(() => program.stop());
    return program;
  }
  const listen = "someHttpServer.listen(8080)";
  const prefix = 'prefix: "/browser-server"';
  expect(relaying).toContain(prefix);
  const relay = await run(
    "relay",
    // The name of a listener that was killed is kept for the grace period.
    relaying.replace(prefix, `${prefix}, limits: { graceMs: 100 }`),
    listen,
    `${listen.replace("8080", "0")}.once("listening", () =>
    console.log("port", someHttpServer.address().port))`,
  );
  const port = (await relay.prints(/^port /)).slice("port ".length);
  const here = `http://localhost:${port}`;
  const listener = await run("listener", listening, "http://localhost:8080", here);
  await relay.prints(/^\[PROXY\] from server$/);
  const client = await run("client", connecting, "http://localhost:8080", here);
  await client.prints(/^\[CLIENT\] from server$/);
  await listener.prints(/^\[SERVER\] from client$/);
  expect(await (await fetch(`${here}/elsewhere`)).text()).toBe("my own page");
  await listener.stop();
  await relay.prints(/^\[PROXY\] SERVER_NAME went$/);
  expect(relay.lines).toContain("[PROXY] SERVER_NAME came");
});

test("the README's notebook is served and called in Node as it stands, but for the port", async () => {
  const programs = await runInTurn((block) => block.includes("notebook"));
  expect(programs[1]?.lines[0]).toBe("[CALLER] [ '1 + 1', '2 + 2' ]");
});

test("the README's calculator is served and called in Node as it stands, but for the port", async () => {
  const programs = await runInTurn((block) => block.includes("calculator"));
  expect(programs[1]?.lines).toEqual(["[SUM] 3", "[MULTIPLE] 5", "[MULTIPLE] 10", "[MULTIPLE] 15", "[READY]"]);
});

/** Runs samples in processes of their own, each when the one before has run to its end. */
async function runInTurn(isMeant: (block: string) => boolean): Promise<Program[]> {
  const samples = readmeBlocks("js").filter(isMeant);
  const relay = await openRelay();
  onTestFinished(() => relay.close());
  const folder = await mkdtemp(join(packageFolder, "test/readme-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await cp(join(packageFolder, "examples/calculator/gen"), join(folder, "gen"), { recursive: true });
  const programs: Program[] = [];
  for (const [at, sample] of samples.entries()) {
    expect(sample).toContain("http://localhost:8080");
    const path = join(folder, `${at}.mjs`);
    await writeFile(path, `${sample.replace("http://localhost:8080", relay.origin)}\nconsole.log("[READY]");\n`);
    const program = new Program(path);
    onTestFinished(() => program.stop());
    programs.push(program);
    // The caller comes when the server is there.
    await program.prints(/^\[READY\]$/);
  }
  return programs;
}

test("the README's limits are the relay's", () => {
  const stated = Object.fromEntries(
    readmeTable("limit").map(([name, value]) => [name, Number.parseInt(value ?? "", 10)]),
  );
  expect(stated).toEqual(defaultLimits);
});
