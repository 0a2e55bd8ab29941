import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root, run, withTemporaryFolder } from "./command.ts";
import { failed, type Outcome, passed } from "./step.ts";

function readTree(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(folder.length + 1), readFileSync(path, "utf8")];
    }),
  );
}

/** `gen/` holds exactly what `npm run generate` would write there. */
export function checkGenerated(): Promise<Outcome> {
  return withTemporaryFolder(async (folder) => {
    const { code, output } = await run("buf", ["generate", "--output", folder]);
    if (code !== 0) return failed(`buf generate (exit code ${code})\n${output.trim()}`);
    const fresh = readTree(join(folder, "gen"));
    const present = readTree(join(root, "gen"));
    const problems: string[] = [];
    for (const [path, text] of fresh) {
      const own = present.get(path);
      if (own === undefined) problems.push(`gen/${path} is missing`);
      else if (own !== text) problems.push(`gen/${path} is not what proto/ gives now`);
    }
    for (const path of present.keys()) {
      if (!fresh.has(path)) problems.push(`gen/${path} comes from no file in proto/`);
    }
    if (problems.length === 0) return passed();
    return failed([...problems, "Run: npm run generate"].join("\n"));
  });
}
