import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";

/** A program and whatever it starts, which end together. */
export interface ProcessGroup {
  child: ChildProcess;
  pid: number;
  /** Rejects when the program does before. */
  whileItRuns<T>(work: Promise<T>): Promise<T>;
  end(): Promise<void>;
}

export async function startGroup(
  program: string,
  args: string[],
  options: { env?: Record<string, string>; stdio?: StdioOptions } = {},
): Promise<ProcessGroup> {
  // A run of tests that is killed ends no group: setpriv has the kernel do it.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", program, ...args], {
    env: { ...process.env, ...options.env },
    stdio: options.stdio ?? ["ignore", "ignore", "inherit"],
    detached: true,
  });
  await once(child, "spawn");
  const pid = child.pid!;
  const exited = once(child, "exit");
  let ended: Promise<unknown> | undefined;
  return {
    child,
    pid,
    whileItRuns: (work) =>
      Promise.race([
        work,
        exited.then(([code, signal]) => Promise.reject(new Error(`${program} ended with ${code ?? signal}`))),
      ]),
    async end() {
      // The group is killed only once, because its number may later be another group's.
      if (ended === undefined) {
        ended = exited;
        killGroup(pid);
      }
      await ended;
    },
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
