import { existsSync } from "node:fs";
import { join } from "node:path";
import { root, run, withTemporaryFolder } from "../command.ts";
import { failed, type Outcome } from "../step.ts";

/** Packs the build as npm would publish it, and lends the tarball, in a temporary folder of its own. */
export function withTarball(check: (tarball: string, folder: string) => Promise<Outcome>): Promise<Outcome> {
  return withTemporaryFolder(async (folder) => {
    if (!existsSync(join(root, "dist"))) return failed("there is no dist/ to pack: the build failed, or was not run");
    const pack = ["pack", "--ignore-scripts", "--loglevel=error", "--pack-destination", folder];
    const { code, output } = await run("npm", pack);
    const name = output.trim().split("\n").at(-1) ?? "";
    if (code !== 0 || !name.endsWith(".tgz")) return failed(`npm pack (exit code ${code})\n${output.trim()}`);
    return check(join(folder, name), folder);
  });
}

/**
 * Installs packages into a folder as a user does: without a lock file, so that everything is the newest that its range
 * admits. Resolves with what went wrong, which a warning of npm is too if `allowsWarnings` is not set.
 */
export async function installInto(
  folder: string,
  packages: string[],
  { allowsWarnings = false } = {},
): Promise<string | undefined> {
  const { code, output } = await run("npm", ["install", "--no-package-lock", ...packages], { cwd: folder });
  if (code === 0 && (allowsWarnings || !/^npm warn/m.test(output))) return undefined;
  return `npm install ${packages.join(" ")} (exit code ${code})\n${output.trim()}`;
}
