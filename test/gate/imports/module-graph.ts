import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { parseSync } from "vite";
import { root } from "../command.ts";

export interface Import {
  file: string;
  line: number;
  specifier: string;
  /** The file it leads to, when the specifier is relative and the file exists. */
  target: string | undefined;
  /** The imported names; `*` stands for everything. */
  names: string[];
}

interface Node {
  type: string;
  start: number;
  [key: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as Node).type === "string";

function* walk(value: unknown): Generator<Node> {
  if (Array.isArray(value)) for (const item of value) yield* walk(item);
  if (!isNode(value)) return;
  yield value;
  for (const child of Object.values(value)) if (typeof child === "object") yield* walk(child);
}

const importing = new Set([
  "ImportDeclaration",
  "ExportNamedDeclaration",
  "ExportAllDeclaration",
  "ImportExpression",
  "TSImportType",
]);

function specifierOf(node: Node): string | undefined {
  const source = node.source as { value?: unknown } | null | undefined;
  return importing.has(node.type) && typeof source?.value === "string" ? source.value : undefined;
}

function namesOf(node: Node): string[] {
  const specifiers = node.specifiers as Node[] | undefined;
  if (specifiers === undefined) return ["*"];
  return specifiers.map((each) => {
    const name = (each.imported ?? each.local) as { name?: string } | undefined;
    return each.type === "ImportNamespaceSpecifier" ? "*" : (name?.name ?? "*");
  });
}

function resolveRelative(file: string, specifier: string): string | undefined {
  const path = posix.join(posix.dirname(file), specifier);
  const candidates = [path, path.replace(/\.js$/, ".ts"), path.replace(/\.js$/, ".tsx")];
  return candidates.find((candidate) => existsSync(join(root, candidate)));
}

/** Every import and re-export of a file, types and dynamic ones with them. */
export function readImports(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8");
  const { program, errors } = parseSync(file, text);
  if (errors[0] !== undefined) throw new Error(`${file}: ${errors[0].message}`);
  const imports: Import[] = [];
  for (const node of walk(program)) {
    const specifier = specifierOf(node);
    if (specifier === undefined) continue;
    const line = text.slice(0, node.start).split("\n").length;
    const target = specifier.startsWith(".") ? resolveRelative(file, specifier) : undefined;
    imports.push({ file, line, specifier, target, names: namesOf(node) });
  }
  return imports;
}

/** The TypeScript files of some top-level folders, as paths from the repository's root. */
export function sourceFiles(folders: string[]): string[] {
  return folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .map((path) => posix.join(folder, path.replaceAll("\\", "/")))
        .filter((path) => /\.(ts|tsx|mts)$/.test(path) && !path.includes("/node_modules/")),
    )
    .sort();
}

/** A cycle of files, first file repeated at the end, for each file that closes one. */
export function findCycles(graph: Map<string, Import[]>): string[][] {
  const cycles: string[][] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (file: string) => {
    const at = path.indexOf(file);
    if (at >= 0) cycles.push([...path.slice(at), file]);
    if (at >= 0 || finished.has(file)) return;
    path.push(file);
    for (const target of new Set(graph.get(file)?.map((each) => each.target))) {
      if (target !== undefined) visit(target);
    }
    path.pop();
    finished.add(file);
  };
  for (const file of graph.keys()) visit(file);
  return cycles;
}

/** Returns, for each file that an entry reaches, the way from the entry to it. */
export function waysFrom(graph: Map<string, Import[]>, entry: string): Map<string, string[]> {
  const ways = new Map([[entry, [entry]]]);
  for (const [file, way] of ways) {
    for (const { target } of graph.get(file) ?? []) {
      if (target !== undefined && !ways.has(target)) ways.set(target, [...way, target]);
    }
  }
  return ways;
}
