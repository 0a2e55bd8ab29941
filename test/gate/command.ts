import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { failed, type Outcome, passed } from "./step.ts";

export const root = resolve(import.meta.dirname, "../..");

interface CommandOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Show the output as it comes, and keep none of it. */
  live?: boolean;
  timeoutMs?: number;
}

export interface CommandResult {
  /** 0 when it went well; null when a signal ended it or it could not be started. */
  code: number | null;
  output: string;
}

/** Runs a program to its end, with the tools of node_modules first in its PATH. Never throws. */
export function run(program: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { cwd = root, env = {}, live = false, timeoutMs = 300_000 } = options;
  const path = [join(root, "node_modules/.bin"), process.env.PATH].join(delimiter);
  return new Promise((done) => {
    let output = "";
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, PATH: path, ...env },
      stdio: live ? "inherit" : ["ignore", "pipe", "pipe"],
    });
    const take = (chunk: string) => {
      output += chunk;
    };
    child.stdout?.setEncoding("utf8").on("data", take);
    child.stderr?.setEncoding("utf8").on("data", take);
    const deadline = setTimeout(() => {
      output += `\n${program} was ended: it took longer than ${timeoutMs / 1000} s\n`;
      if (live) console.log(output);
      child.kill("SIGKILL");
    }, timeoutMs);
    child.once("error", (error) => {
      clearTimeout(deadline);
      done({ code: null, output: `${program} could not be started: ${error.message}` });
    });
    child.once("close", (code) => {
      clearTimeout(deadline);
      done({ code, output });
    });
  });
}

/** A step that is one command: it passes when the command exits with 0. */
export async function expectSuccess(program: string, args: string[], options?: CommandOptions): Promise<Outcome> {
  const { code, output } = await run(program, args, options);
  if (code === 0) return passed();
  return failed(`${program} ${args.join(" ")} (exit code ${code})\n${output.trim()}`);
}

/** Lends a folder under the system's temporary one, and removes it afterwards. */
export async function withTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "browser-stream-server-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
