import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { hasProgram, missingProgram } from "./parties/program.ts";

/** Installs all packages of the yardsticks if one of the named packages is missing. Throws if that fails. */
export function installMissing(packages: readonly string[]): void {
  const folder = import.meta.dirname;
  const isMissing = (name: string) => !existsSync(join(folder, "node_modules", name, "package.json"));
  if (!packages.some(isMissing)) return;
  const { status } = spawnSync("npm", ["ci"], { cwd: folder, stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new Error(`npm ci in ${folder} failed`);
}

/** Says which programs are missing, because the works that run them will fail. */
export function tellMissing(programs: readonly string[], log: (line: string) => void): void {
  for (const name of programs.filter((each) => !hasProgram(each))) log(missingProgram(name));
}
