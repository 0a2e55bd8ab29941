import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root, run, withTemporaryFolder } from "./command.ts";
import { failed, type Outcome, passed } from "./step.ts";

// A checkout may belong to another user than the one who runs the gate.
const git = (...args: string[]) => run("git", ["-c", "safe.directory=*", ...args]);

async function resolves(revision: string): Promise<boolean> {
  return (await git("rev-parse", "--verify", "--quiet", `${revision}^{commit}`)).code === 0;
}

/** The commit that proto/ is held against, or why there is none. */
async function baseline(): Promise<{ revision: string } | { missing: string }> {
  const inside = await git("rev-parse", "--git-dir");
  if (inside.code !== 0) return { missing: `no git repository here (${inside.output.trim().split("\n")[0]})` };
  if (!(await resolves("HEAD"))) return { missing: "no commit yet" };
  const changes = await git("status", "--porcelain", "--", "proto");
  if (changes.output.trim() !== "") return { revision: "HEAD" };
  if (await resolves("HEAD~1")) return { revision: "HEAD~1" };
  const shallow = (await git("rev-parse", "--is-shallow-repository")).output.trim() === "true";
  return { missing: shallow ? "a shallow clone without HEAD~1" : "HEAD is the first commit" };
}

/** proto/ breaks nothing that the last commit promised. */
export async function checkBreaking(): Promise<Outcome> {
  const base = await baseline();
  if ("missing" in base) return passed(`nothing to compare with: ${base.missing}`);
  const { revision } = base;
  const files = (await git("ls-tree", "-r", "--name-only", revision, "--", "proto", "buf.yaml")).output;
  const hasProto = files.split("\n").some((path) => path.endsWith(".proto"));
  if (!hasProto) return passed(`nothing to compare with: no proto/ in ${revision}`);
  return withTemporaryFolder(async (folder) => {
    const archive = join(folder, "base.tar");
    const paths = files.includes("buf.yaml") ? ["proto", "buf.yaml"] : ["proto"];
    const archived = await git("archive", "--output", archive, revision, ...paths);
    if (archived.code !== 0 || !existsSync(archive)) return failed(archived.output.trim());
    execFileSync("tar", ["-xf", archive, "-C", folder]);
    const against = paths.length === 2 ? folder : join(folder, "proto");
    const { code, output } = await run("buf", ["breaking", root, "--against", against]);
    if (code === 0) return passed(`against ${revision}`);
    return failed(`buf breaking against ${revision} (exit code ${code})\n${output.trim()}`);
  });
}
