import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root, run, withTemporaryFolder } from "./command.ts";
import { failed, type Outcome, passed } from "./step.ts";

export function readTree(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [path.slice(folder.length + 1), readFileSync(path, "utf8")];
    }),
  );
}

/**
 * Returns a problem for each file that `present` lacks, has besides, or has with another text than `fresh`. `folder` is
 * the place of the files.
 */
export function differences(fresh: Map<string, string>, present: Map<string, string>, folder: string): string[] {
  const problems: string[] = [];
  for (const [path, text] of fresh) {
    const own = present.get(path);
    if (own === undefined) problems.push(`${folder}/${path} is missing`);
    else if (own !== text) problems.push(`${folder}/${path} is not what proto/ gives now`);
  }
  for (const path of present.keys()) {
    if (!fresh.has(path)) problems.push(`${folder}/${path} comes from no file in proto/`);
  }
  return problems;
}

/** The files of docs/ that are written by a program, and the programs. */
const written = [
  ["protocol.md", "tools/protocol-page/main.ts"],
  ["resume-vectors.json", "tools/resume-vectors/main.ts"],
  ["limits.md", "tools/limits-page/main.ts"],
] as const;

/** The example in JavaScript whose code is generated, and which the README's samples import. */
const calculator = "examples/calculator";

/** `gen/`, that of the calculator, and the files of {@link written} are exactly what `npm run generate` would write. */
export function checkGenerated(): Promise<Outcome> {
  return withTemporaryFolder(async (folder) => {
    for (const [program, ...args] of [
      ["buf", "generate", "--output", folder],
      ...written.map(([file, program]) => ["node", program, join(folder, file)] as const),
    ] as const) {
      const { code, output } = await run(program, args);
      if (code !== 0) return failed(`${program} ${args.join(" ")} (exit code ${code})\n${output.trim()}`);
    }
    const made = join(folder, "calculator");
    const { code, output } = await run("buf", ["generate", "--output", made], { cwd: join(root, calculator) });
    if (code !== 0) return failed(`buf generate in ${calculator} (exit code ${code})\n${output.trim()}`);
    const problems = [
      ...differences(readTree(join(folder, "gen")), readTree(join(root, "gen")), "gen"),
      ...differences(readTree(join(made, "gen")), readTree(join(root, calculator, "gen")), `${calculator}/gen`),
    ];
    for (const [file] of written) {
      if (readFileSync(join(folder, file), "utf8") === readFileSync(join(root, "docs", file), "utf8")) continue;
      problems.push(`docs/${file} is not what proto/ and the code give now`);
    }
    if (problems.length === 0) return passed();
    return failed([...problems, "Run: npm run generate"].join("\n"));
  });
}
