import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { startArguments } from "../contenders.ts";
import type { Plan } from "../plan.ts";
import type { SectionOpener } from "./section.ts";

const projectFolder = fileURLToPath(new URL("../..", import.meta.url));

/** Resolves with the time from the start of a process to its first output. */
async function firstOutputMs(args: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, args, { cwd: projectFolder, stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  const ended = exited.then(([code]) => Promise.reject(new Error(`it ended with ${code} before it said anything`)));
  try {
    await Promise.race([once(child.stdout, "data"), ended]);
    return performance.now() - startedMs;
  } finally {
    child.kill("SIGKILL");
    await exited;
    await ended.catch(() => {});
  }
}

/** Measures how long the relay of `npm start` takes until it listens, beside a program that only prints a line. */
export function startUpSection({ startUps }: Plan): SectionOpener {
  const relay = [...startArguments(), "--port", "0", "--host", "127.0.0.1"];
  const programs = { "npm start": relay, "blank Node": ["--eval", "console.log('ready')"] };
  return () => ({
    tasks: Object.entries(programs).map(([contender, args]) => ({
      work: "startup",
      contender,
      measure: async () => ({ ms: await firstOutputMs(args) }),
    })),
    rounds: startUps,
    warmsUp: true,
    close: async () => {},
  });
}
