import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const mainPath = fileURLToPath(new URL("../dist/server/main.js", import.meta.url));

/** The relay as `npm start` runs it, in a process of its own, on a port that was free. */
export interface RelayProcess {
  origin: string;
  child: ChildProcess;
  /** Ends it as Ctrl-C does. Resolves with the exit code. */
  stop(): Promise<number | null>;
}

export async function startRelay(...args: string[]): Promise<RelayProcess> {
  const child = spawn(process.execPath, [mainPath, "--port", "0", ...args], { stdio: ["ignore", "pipe", "inherit"] });
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
