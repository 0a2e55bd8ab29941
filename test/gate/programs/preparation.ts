import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "../command.ts";

/** Installs or makes what some tests need; resolves with what stands in the way, if anything does. */
export type Preparation = () => Promise<string | undefined>;

/** Returns the output of a program; undefined if it is not there, or fails. */
export function outputOf(program: string, args: string[], env: Record<string, string> = {}): string | undefined {
  try {
    const stdio = ["ignore", "pipe", "ignore"] as const;
    return execFileSync(program, args, { encoding: "utf8", stdio: [...stdio], env: { ...process.env, ...env } });
  } catch {
    return undefined;
  }
}

/** Programs of a name, in the order of the PATH. */
export function inPath(name: string): string[] {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).filter((path) => existsSync(path));
}

/** Runs one command after the other; what the first that fails has to say. */
export async function obstacleIn(
  { cwd, env }: { cwd: string; env?: Record<string, string> },
  ...commands: readonly string[][]
): Promise<string | undefined> {
  for (const [program = "", ...args] of commands) {
    const { code, output } = await run(program, args, env === undefined ? { cwd } : { cwd, env });
    if (code !== 0) return `${program} ${args.join(" ")} (exit code ${code})\n${output.trim().slice(-2000)}`;
  }
  return undefined;
}

function sameText(path: string, otherPath: string): boolean {
  return existsSync(path) && readFileSync(path, "utf8") === readFileSync(otherPath, "utf8");
}

/** Makes something from a file, unless it was made from the same text before. */
export async function madeFrom(source: string, made: string, make: Preparation): Promise<string | undefined> {
  if (!existsSync(source)) return `there is no ${source}`;
  if (sameText(made, source)) return undefined;
  const obstacle = await make();
  if (obstacle === undefined) copyFileSync(source, made);
  return obstacle;
}
