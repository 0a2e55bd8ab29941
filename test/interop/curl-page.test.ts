import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { delimiter, resolve } from "node:path";
import { StreamServer } from "browser-stream-server";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type RelayProcess, startRelay } from "../relay-process.js";
import { goToolsFolder } from "../setup/example-programs.js";

const root = resolve(import.meta.dirname, "../..");
const page = readFileSync(resolve(root, "examples/curl.md"), "utf8");
const path = [resolve(root, "node_modules/.bin"), goToolsFolder, process.env.PATH].join(delimiter);

/** The page's blocks, in order: commands, and what they print. */
const blocks = [...page.matchAll(/^```(sh|text)\n(.*?)^```$/gms)].map(([, kind, text = ""]) => ({ kind, text }));

/** Returns a pattern for the text of a block, in which "…" stands for text that differs each time. */
function patternOf(text: string): RegExp {
  const escaped = text
    .trim()
    .split("…")
    .map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&"));
  return new RegExp(`^${escaped.join("[^]*?")}$`);
}

/** The first of the page's commands that holds `part`, with what the page says that it prints. */
function documented(part: string): { command: string; printed: RegExp } {
  const index = blocks.findIndex(({ kind, text }) => kind === "sh" && text.includes(part));
  const [command, output] = blocks.slice(index);
  if (index < 0 || command === undefined || output?.kind !== "text") throw new Error(`the page has no ${part}`);
  seen.add(command.text);
  return { command: command.text, printed: patternOf(output.text) };
}

const printingDeadlineMs = 15_000;
const seen = new Set<string>();
let relay: RelayProcess;
let lobby: StreamServer;

beforeAll(async () => {
  relay = await startRelay("--host", "127.0.0.1");
  lobby = StreamServer(relay.origin, { listed: true }, () => {}).listen("lobby");
  await lobby.ready;
});

afterAll(async () => {
  await lobby.end();
  await relay.stop();
});

/** A command of the page, at this relay, in a terminal of its own. */
class Terminal {
  readonly child;
  #printed = "";
  #onPrinted = () => {};

  constructor(command: string, env: Record<string, string> = {}) {
    const here = command.replaceAll("localhost:8080", new URL(relay.origin).host);
    this.child = spawn("bash", ["-c", here], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env, PATH: path },
    });
    for (const output of [this.child.stdout, this.child.stderr]) {
      output.setEncoding("utf8").on("data", (text: string) => {
        this.#printed += text;
        this.#onPrinted();
      });
    }
    const closed = once(this.child, "close");
    onTestFinished(async () => {
      // The shell's own group: what it has started may live longer than it.
      if (this.child.exitCode === null) process.kill(-(this.child.pid ?? 0), "SIGKILL");
      await closed;
    });
  }

  /** Resolves with what it prints, once that is as the page says. */
  async prints(pattern: RegExp): Promise<string> {
    const deadline = AbortSignal.timeout(printingDeadlineMs);
    deadline.addEventListener("abort", () => this.#onPrinted());
    while (!pattern.test(this.#printed.trim())) {
      if (deadline.aborted) throw new Error(`printed\n${this.#printed}\nwhich is not ${pattern}`);
      await new Promise<void>((resolve) => {
        this.#onPrinted = resolve;
      });
    }
    return this.#printed;
  }
}

test.each([
  ["POST", 'curl -s --json \'{"prefix"'],
  ["GET", "curl -s -G"],
  ["health", "Health/Check"],
  ["an error", "Unlisten"],
  ["Listen", "curl -s -N"],
  ["reflection", "--list-methods"],
  ["Watch", "/Watch"],
  ["grpcurl's list", "grpcurl -plaintext localhost:8080 list"],
  ["grpcurl", "grpcurl -plaintext -d"],
  ["a probe", "grpc-health-probe"],
])("%s", async (_, part) => {
  const { command, printed } = documented(part);
  await new Terminal(command).prints(printed);
});

test("a stream by hand", async () => {
  const listen = documented('{"name": "room"}');
  const first = new Terminal(listen.command);
  await first.prints(listen.printed);
  const connect = documented("/Connect");
  const second = new Terminal(connect.command);
  const offered = new RegExp(`${listen.printed.source.slice(0, -1)}\\s*${connect.printed.source.slice(1)}`);
  const shown = await first.prints(offered);
  const [, streamId = "", legToken = ""] = /"streamId": "(.*)",\s*"legToken": "(.*)"/.exec(shown) ?? [];
  const accept = documented("/Accept");
  await new Terminal(accept.command, { STREAM_ID: streamId, LEG_TOKEN: legToken }).prints(accept.printed);
  const last = blocks[blocks.findIndex(({ text }) => text === accept.command) + 2]?.text ?? "";
  await second.prints(patternOf(last));
});

test("no command of the page is left out", () => {
  const commands = blocks.filter(({ kind }) => kind === "sh").map(({ text }) => text);
  expect([...seen].sort()).toEqual(commands.sort());
});
