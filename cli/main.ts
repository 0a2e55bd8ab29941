#!/usr/bin/env node
// Asks Node for its version before anything is loaded that an old one could not read. Static imports come first, so
// there is none of the program's here.
import { readFileSync } from "node:fs";
import { isSupportedNode, unsupportedNodeExitCode, wordsForRange } from "./node-version.js";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  engines: { node: string };
};
if (isSupportedNode(process.version, manifest.engines.node)) {
  import("./program.js");
} else {
  const needed = wordsForRange(manifest.engines.node);
  process.stderr.write(`bss: this needs Node ${needed}; ${process.execPath} is ${process.version}\n`);
  process.exitCode = unsupportedNodeExitCode;
}
