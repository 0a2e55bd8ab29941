import { isBuiltin } from "node:module";
import { matchesGlob } from "node:path";
import { failed, type Outcome, passed } from "../step.ts";
import {
  allowedFolders,
  browserConnectEntry,
  browserEntry,
  browserHttpEntry,
  browserMcpEntry,
  browserWebSocketEntry,
  foldersOfThePackage,
  foldersWithoutNode,
  nodeOnlyPackages,
  onlyImporters,
  packageName,
  rooms,
  rpcFiles,
  rpcNames,
} from "./import-rules.ts";
import { findCycles, type Import, readImports, sourceFiles, waysFrom } from "./module-graph.ts";

const folderOf = (path: string) => path.split("/")[0] ?? "";
/**
 * Returns the height of a file in its folder: the number of its room, or a number above all rooms for a file beside
 * them.
 */
function floorOf(path: string): number {
  const [folder = "", room = "", ...rest] = path.split("/");
  const order = rooms[folder];
  if (order === undefined) return 0;
  return rest.length === 0 ? order.length : order.indexOf(room);
}
const isOf = (specifier: string, name: string) => specifier === name || specifier.startsWith(`${name}/`);
const isConnectNode = (specifier: string) => nodeOnlyPackages.some((name) => isOf(specifier, name));
const isNodeCode = (specifier: string) => isBuiltin(specifier) || isConnectNode(specifier);

function* problemsOf({ file, specifier, target, names }: Import): Generator<string> {
  const folder = folderOf(file);
  if (specifier.startsWith(".") && target === undefined) yield "leads to no file";
  if (target !== undefined && folderOf(target) !== folder && !allowedFolders[folder]?.includes(folderOf(target))) {
    yield `runs against the direction: ${folder}/ may import from ${allowedFolders[folder]?.join(", ") || "nothing"}`;
  }
  const importers = target === undefined || folderOf(target) === folder ? undefined : onlyImporters[folderOf(target)];
  if (importers?.some((pattern) => matchesGlob(file, pattern)) === false) {
    yield `leads into ${folderOf(target ?? "")}/, which only ${importers.join(", ")} may import from`;
  }
  if (floorOf(file) < 0) yield "stands in a room that the rules do not name";
  if (target !== undefined && folderOf(target) === folder && floorOf(target) > floorOf(file)) {
    yield `runs against the direction of the rooms: ${rooms[folder]?.join(" < ")}`;
  }
  if (foldersWithoutNode.includes(folder) && isNodeCode(specifier)) yield `is Node code, and ${folder}/ runs anywhere`;
  if (foldersOfThePackage.includes(folder) && isOf(specifier, packageName)) yield "is this package by its own name";
  if (folder === "server" && !rpcFiles.some((pattern) => matchesGlob(file, pattern))) {
    const fromGen = target !== undefined && folderOf(target) === "gen";
    const rpc = fromGen ? names.filter((name) => name === "*" || rpcNames.test(name)) : [];
    if (rpc.length > 0) yield `takes ${rpc.join(", ")} from gen/, which only ${rpcFiles.join(", ")} may`;
    if (isConnectNode(specifier)) yield `is connect-node, which only ${rpcFiles.join(", ")} may import`;
  }
}

/** Imports run one way, nothing runs in circles, and no Node code is within reach of a browser's entry. */
export function checkImportDirection(): Outcome {
  const graph = new Map(sourceFiles(Object.keys(allowedFolders)).map((file) => [file, readImports(file)]));
  const problems: string[] = [];
  for (const each of [...graph.values()].flat()) {
    for (const problem of problemsOf(each)) problems.push(`${each.file}:${each.line}: "${each.specifier}" ${problem}`);
  }
  for (const cycle of findCycles(graph)) problems.push(`cycle: ${cycle.join(" → ")}`);
  for (const entry of [browserEntry, browserHttpEntry, browserConnectEntry, browserMcpEntry, browserWebSocketEntry]) {
    if (!graph.has(entry)) problems.push(`${entry} does not exist`);
    for (const [file, way] of waysFrom(graph, entry)) {
      for (const { specifier } of graph.get(file) ?? []) {
        if (!isNodeCode(specifier) || foldersWithoutNode.includes(folderOf(file))) continue;
        problems.push(`the entry ${entry} of browsers reaches Node code: ${way.join(" → ")} → ${specifier}`);
      }
    }
  }
  return problems.length === 0 ? passed(`${graph.size} files`) : failed(problems.join("\n"));
}
