import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";

/** Whether a program is in the PATH. */
export function hasProgram(name: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, name)));
}

/** Runs a program. Resolves with what it prints. Rejects if it is not there, or ends with an error. */
export async function runProgram(name: string, args: readonly string[]): Promise<string> {
  if (!hasProgram(name)) throw new Error(missingProgram(name));
  const child = spawn(name, args, { stdio: ["ignore", "pipe", "pipe"] });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  if (code !== 0) throw new Error(`${name} ended with ${code}: ${errors.trim()}`);
  return output;
}

export const missingProgram = (name: string): string => `there is no ${name}: apt-get install ${name}`;
