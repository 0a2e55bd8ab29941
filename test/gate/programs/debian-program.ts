import { existsSync, readFileSync } from "node:fs";
import { run } from "../command.ts";

/** A program that some tests need beside Node. */
export interface DebianProgram {
  name: string;
  /** The Debian packages that have it. Default: the one of the same name. */
  packages?: string[];
  find(): string | undefined;
}

/** Installs what is missing, or says why it can't. */
export async function installProgram({ name, packages = [name], find }: DebianProgram): Promise<string | undefined> {
  if (find() !== undefined) return undefined;
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  if (!/^ID=debian$/m.test(release)) return `there is no ${name}, and only on Debian the gate can install one`;
  if (process.getuid?.() !== 0)
    return `there is no ${name}, and installing it takes root: apt-get install ${packages.join(" ")}`;
  console.log(`installing ${name} …`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const commands = [["update"], ["install", "--yes", "--no-install-recommends", ...packages]];
  for (const args of commands) {
    const { code, output } = await run("apt-get", args, { env, timeoutMs: 240_000 });
    if (code !== 0) return `there is no ${name}, and apt-get ${args[0]} failed:\n${output.trim().slice(-2000)}`;
  }
  return find() === undefined ? `apt-get install ${packages.join(" ")} left no program in the usual places` : undefined;
}
