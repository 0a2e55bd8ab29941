import { spawn } from "node:child_process";
import type { StartProgram } from "./agent.js";

/** Runs a program as a process of its own. */
export function startProcess(program: string, args: readonly string[]): StartProgram {
  return (events) =>
    new Promise((resolve, reject) => {
      const child = spawn(program, args, { stdio: "pipe" });
      child.stdout.on("data", events.stdout);
      child.stderr.on("data", events.stderr);
      // A program that ends leaves its input unread.
      child.stdin.on("error", () => {});
      child.once("error", reject);
      child.once("close", events.exit);
      child.once("spawn", () =>
        resolve({
          write: (data) => void child.stdin.write(data),
          endInput: () => void child.stdin.end(),
          interrupt: () => void child.kill("SIGINT"),
          kill: () => void child.kill("SIGKILL"),
        }),
      );
    });
}
