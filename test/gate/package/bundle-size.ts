import { isBuiltin } from "node:module";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build, type Plugin, type Rolldown } from "vite";
import { root } from "../command.ts";
import {
  browserConnectEntry,
  browserEntry,
  browserHttpEntry,
  browserMcpEntry,
  browserWebSocketEntry,
} from "../imports/import-rules.ts";
import { failed, type Outcome, passed } from "../step.ts";

/**
 * The size that the browser's entry may have with all that it imports, minified and gzipped. Connect and Protobuf take
 * 40 KiB of it, 5.5 KiB let streams and servers outlive their connections and end with their page, 0.25 KiB are what a
 * listener is told of a client's identity, and a caller of a limit, and 0.75 KiB the option `token`: 0.25 KiB of them
 * let what was renewed outlive the relay.
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

/** The size that `./http` may add to a page that has the browser's entry already, minified and gzipped. */
export const httpBudgetBytes = 6 * 1024;

/**
 * The size that `./connect` may add to a page that has `./http` as well, minified and gzipped. 8 KiB
 * of it are Connect's own handlers of three protocols, and 3 KiB are health and reflection.
 */
export const connectBudgetBytes = 12.5 * 1024;

/** The size that `./mcp` may add to a page that has the browser's entry already, minified and gzipped. */
export const mcpBudgetBytes = 1024;

/** The size that `./websocket` may add to a page that has the browser's entry already, minified and gzipped. */
export const webSocketBudgetBytes = 2.5 * 1024;

/** An entry, the entries that its page has already, and the size that it may add to them. */
interface Bundle {
  name: string;
  beside: readonly string[];
  entry: string;
  maxBytes: number;
}

const bundles: readonly Bundle[] = [
  { name: ".", beside: [], entry: browserEntry, maxBytes: budgetBytes },
  { name: "./http", beside: [browserEntry], entry: browserHttpEntry, maxBytes: httpBudgetBytes },
  {
    name: "./connect",
    beside: [browserEntry, browserHttpEntry],
    entry: browserConnectEntry,
    maxBytes: connectBudgetBytes,
  },
  { name: "./mcp", beside: [browserEntry], entry: browserMcpEntry, maxBytes: mcpBudgetBytes },
  { name: "./websocket", beside: [browserEntry], entry: browserWebSocketEntry, maxBytes: webSocketBudgetBytes },
];

/** The bytes of a module that exports all of these entries, and why it cannot be published, if so. */
async function bundleOf(entries: readonly string[]): Promise<{ bytes: number; faults: string[] }> {
  const found: string[] = [];
  const name = "all-entries";
  const allEntries: Plugin = {
    name,
    resolveId: (specifier) => (specifier === name ? `\0${name}` : undefined),
    load: (id) =>
      id === `\0${name}`
        ? entries.map((entry) => `export * from ${JSON.stringify(join(root, entry))};`).join("\n")
        : undefined,
  };
  const result = (await build({
    configFile: false,
    root,
    logLevel: "silent",
    publicDir: false,
    plugins: [nodeImports(found), allEntries],
    build: {
      write: false,
      minify: true,
      modulePreload: false,
      rolldownOptions: {
        input: entries.length === 1 ? join(root, entries[0] as string) : name,
        preserveEntrySignatures: "strict",
      },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = result.output.filter((each) => each.type === "chunk");
  const left = chunks.flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports]).filter(isBuiltin);
  const faults = [...found, ...left].map((each) => `Node code in the bundle: ${each}`);
  const exported = chunks.find((chunk) => chunk.isEntry)?.exports ?? [];
  if (exported.length === 0) faults.push(`the bundle of ${entries.join(" and ")} exports nothing`);
  const bytes = chunks.reduce((sum, chunk) => sum + gzipSync(chunk.code, { level: 9 }).byteLength, 0);
  return { bytes, faults };
}

/** The browser's entries, bundled as an application would, are small and free of Node. */
export async function checkBundle(): Promise<Outcome> {
  const sizes: string[] = [];
  const faults: string[] = [];
  let isSmall = true;
  for (const { name, beside, entry, maxBytes } of bundles) {
    const before = beside.length === 0 ? { bytes: 0 } : await bundleOf(beside);
    const whole = await bundleOf([...beside, entry]);
    const bytes = whole.bytes - before.bytes;
    faults.push(...whole.faults);
    sizes.push(`${name} ${sizeOf(bytes, maxBytes)}`);
    isSmall &&= bytes <= maxBytes;
  }
  if (faults.length > 0) return failed(faults.join("\n"));
  if (isSmall) return passed(sizes.join(", "));
  return failed(`a bundle is over its budget: ${sizes.join(", ")}, minified and gzipped`);
}

function sizeOf(bytes: number, budget: number): string {
  return `${(bytes / 1024).toFixed(2)} KiB of ${(budget / 1024).toFixed(2)} KiB`;
}
