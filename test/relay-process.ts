import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const packageFolder = fileURLToPath(new URL("..", import.meta.url));

/** Returns the arguments that `npm start` gives to Node, so that a relay under test is the relay that people start. */
function startArgs(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  const words = (scripts.start as string).split(" ");
  return words.slice(words.indexOf("node") + 1);
}

/** The relay as `npm start` runs it, in a process of its own, on a port that was free. */
export interface RelayProcess {
  origin: string;
  child: ChildProcess;
  /** Ends it as Ctrl-C does. Resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** Starts a relay, which ends its streams at once when it is stopped, unless `args` say otherwise. */
export async function startRelay(...args: string[]): Promise<RelayProcess> {
  const child = spawn(process.execPath, [...startArgs(), "--port", "0", "--drain-timeout-ms", "0", ...args], {
    cwd: packageFolder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  const [address] = (await Promise.race([
    once(lines, "line"),
    exited.then(([code]) =>
      Promise.reject(new Error(`the relay ended with ${code} before it listened: is dist/ built?`)),
    ),
  ])) as [string];
  return {
    origin: new URL(address).origin,
    child,
    async stop() {
      child.kill("SIGINT");
      const [code] = (await exited) as [number | null];
      lines.close();
      return code;
    },
  };
}

/** Resolves with the relay's resident memory in bytes, as the kernel counts it. */
export async function residentBytes({ child }: RelayProcess): Promise<number> {
  const status = await readFile(`/proc/${child.pid}/status`, "utf8");
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  if (kibibytes === undefined) throw new Error("the relay has ended");
  return Number(kibibytes) * 1024;
}
