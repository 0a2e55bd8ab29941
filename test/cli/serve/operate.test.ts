import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { readmeBlocks } from "../../readme.js";
import { mainPath } from "../command-line.js";

const root = resolve(import.meta.dirname, "../../..");
const page = readFileSync(join(root, "docs/operate.md"), "utf8");

/** The commands of a section of docs/operate.md, block by block. */
function commandsOf(heading: string): string[] {
  const section = page.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/operate.md has no section ${heading}`);
  return readmeBlocks("sh", section).map((block) => block.trim());
}

/** A folder in which the commands are run, which is also the home of their user. */
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "bss-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, "bin"));
  program("bss", `exec "${process.execPath}" "${mainPath}" "$@"`);
});

/** Puts a program in front of those of this machine. */
function program(name: string, script: string): void {
  writeFileSync(join(folder, "bin", name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, "bin", name), 0o755);
}

/** Runs a command in a shell of its own, which ends with the test. */
function shell(command: string) {
  const path = [join(folder, "bin"), dirname(process.execPath), process.env.PATH].join(delimiter);
  const env = { ...process.env, PATH: path, HOME: folder, XDG_DATA_HOME: "" };
  const child = spawn("bash", ["-e", "-c", command], { cwd: folder, detached: true, env });
  child.stdin.end();
  const exited = once(child, "close").then(([code]) => code as number | null);
  onTestFinished(async () => {
    if (child.exitCode === null) process.kill(-(child.pid ?? 0), "SIGKILL");
    child.stdout.resume();
    child.stderr.resume();
    await exited;
  });
  return { child, exited };
}

async function run(command: string): Promise<{ code: number | null; output: string }> {
  const { child, exited } = shell(command);
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await exited, output: output + errors };
}

describe("docs/operate.md", () => {
  test("leads from nothing to a relay with TLS for holders of a token", async () => {
    const [install, serve = "", mint = "", settings = "", listen = "", connect = ""] = commandsOf(
      "On a machine or a network of your own",
    );
    // test/cli/readme.test.ts installs the package with this command.
    expect(install).toBe("npm install --global browser-stream-server");
    const relay = shell(`${serve} --port 0`);
    const lines = createInterface({ input: relay.child.stdout })[Symbol.asyncIterator]();
    const [address = ""] = [(await lines.next()).value];
    expect(address).toMatch(/^https:\/\/localhost:\d+\/$/);
    const said: string[] = [];
    while (!said.at(-1)?.includes("SHA-256")) said.push((await lines.next()).value ?? "SHA-256 is missing");
    relay.child.stdout.resume();
    expect(said.join("\n")).toContain("development-cert.pem");
    expect(await run(mint)).toEqual({ code: 0, output: "" });
    const set = settings.replace("https://localhost:8080", address);
    expect(set).not.toBe(settings);
    const listener = shell(`${set}\n${listen}`);
    // Node drops what is unread when a process ends.
    const heard = text(listener.child.stdout);
    await once(listener.child.stderr, "data");
    expect(await run(`${set}\n${connect}`)).toEqual({ code: 0, output: "" });
    expect([await heard, await listener.exited]).toEqual(["hello\n", 0]);
    const withoutToken = connect.replace(/ --token-file \S+/, "");
    expect((await run(`${set}\n${withoutToken}`)).code).not.toBe(0);
  });

  test("installs the units of systemd from where npm puts them", async () => {
    const [block = "", mint = ""] = commandsOf("On the internet, with systemd");
    // The package is where npm would have installed it, and the programs of the system only say what they are asked.
    mkdirSync(join(folder, "global"));
    symlinkSync(root, join(folder, "global/browser-stream-server"));
    const said = join(folder, "said");
    program("npm", `if [ "$1" = root ]; then echo "${folder}/global"; else echo "npm $@" >> "${said}"; fi`);
    program("systemctl", `echo "systemctl $@" >> "${said}"`);
    const units = join(folder, "units");
    mkdirSync(units);
    expect(await run(block.replaceAll("/etc/systemd/system", units))).toEqual({ code: 0, output: "" });
    expect(readFileSync(said, "utf8").trim().split("\n")).toEqual([
      "npm install --global browser-stream-server",
      "systemctl daemon-reload",
      "systemctl enable --now browser-stream-server.socket browser-stream-server.service",
    ]);
    const unit = (kind: string) => readFileSync(join(units, `browser-stream-server.${kind}`), "utf8");
    expect(unit("service")).toContain("--host-name YOUR.NAME ");
    expect(unit("socket")).toContain("ListenStream=127.0.0.1:8080");
    // The command of the unit makes the secret of the command that is told next.
    const state = join(folder, "var/lib/browser-stream-server");
    mkdirSync(state, { recursive: true });
    const start = /^ExecStart=(.*)$/m.exec(unit("service"))?.[1] ?? "";
    const options = /^Environment="NODE_OPTIONS=(.*)"$/m.exec(unit("service"))?.[1] ?? "";
    const relay = shell(`export STATE_DIRECTORY="${state}" NODE_OPTIONS="${options}"; exec ${start} --port 0`);
    await once(relay.child.stdout, "data");
    const minted = await run(mint.replace("/var/lib/browser-stream-server", state));
    expect([minted.code, minted.output]).toEqual([0, expect.stringMatching(/^\S+\.\S+\.\S+\n$/)]);
    relay.child.stdout.resume();
    process.kill(relay.child.pid ?? 0, "SIGTERM");
    expect(await relay.exited).toBe(0);
  });

  test("names files for Docker that are there", () => {
    const blocks = commandsOf("On the internet, with Docker").join("\n");
    const files = [...blocks.matchAll(/--file (\S+)/g)].map(([, file = ""]) => file);
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) expect(() => readFileSync(join(root, file))).not.toThrow();
    // The arguments are those of the image's command; test/proxies/deploy.test.ts runs it with them.
    const [, args = ""] = /relay (token --key \S+ .*)$/m.exec(blocks) ?? [];
    expect(args).toContain("--key /data/access.keys");
  });

  test("leads to sections and files that are there", () => {
    const links = [...page.matchAll(/\]\((?!https:)([^)#]+)(?:#([^)]+))?\)/g)].map(([, path = "", id]) => ({
      path,
      id,
    }));
    const anchorsOf = (path: string) =>
      [...readFileSync(path, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
        title
          .toLowerCase()
          .replace(/[^\w\- ]/g, "")
          .replaceAll(" ", "-"),
      );
    for (const { path, id } of links) {
      const target = join(root, "docs", path);
      if (id === undefined) expect(() => readFileSync(target)).not.toThrow();
      else expect(anchorsOf(target), path).toContain(id);
    }
  });
});
