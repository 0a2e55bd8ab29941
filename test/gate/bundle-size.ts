import { isBuiltin } from "node:module";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Plugin, type Rolldown } from "vite";
import { root } from "./command.ts";
import { browserEntry } from "./import-rules.ts";
import { failed, type Outcome, passed } from "./step.ts";

/**
 * The size that the browser's entry may have with all that it imports, minified and gzipped. Connect and Protobuf take
 * 40 KiB of it, 5.5 KiB let streams and servers outlive their connections and end with their page, 0.25 KiB are what a
 * listener is told of a client's identity, and a caller of a limit, and 0.75 KiB the option `token`: 0.25 KiB of them let what was renewed outlive the relay.
 */
export const budgetBytes = 64.5 * 1024;

/** Bundlers replace Node's modules by empty ones without a word; this hears of them first. */
function nodeImports(found: string[]): Plugin {
  return {
    name: "node-imports",
    enforce: "pre",
    resolveId(specifier, importer) {
      if (isBuiltin(specifier)) found.push(`${importer ?? "?"} imports ${specifier}`);
    },
  };
}

/** The browser's entry, bundled as an application would, is small and free of Node. */
export async function checkBundle(): Promise<Outcome> {
  const found: string[] = [];
  const result = (await build({
    configFile: false,
    root,
    logLevel: "silent",
    publicDir: false,
    plugins: [nodeImports(found)],
    build: {
      write: false,
      minify: true,
      modulePreload: false,
      rolldownOptions: { input: join(root, browserEntry), preserveEntrySignatures: "strict" },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = result.output.filter((each) => each.type === "chunk");
  const left = chunks.flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports]).filter(isBuiltin);
  if (found.length + left.length > 0) return failed(["Node code in the bundle:", ...found, ...left].join("\n"));
  const exported = chunks.find((chunk) => chunk.isEntry)?.exports ?? [];
  if (exported.length === 0) return failed(`the bundle of ${browserEntry} exports nothing`);
  const bytes = chunks.reduce((sum, chunk) => sum + gzipSync(chunk.code, { level: 9 }).byteLength, 0);
  const sizes = `${(bytes / 1024).toFixed(1)} KiB of ${(budgetBytes / 1024).toFixed(1)} KiB`;
  return bytes <= budgetBytes ? passed(sizes) : failed(`the bundle is over its budget: ${sizes}, minified and gzipped`);
}
