import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { mainPath } from "./command-line.js";

/** The Node of another major version that this machine has, if it has one. */
const oldNode = (process.env.PATH ?? "")
  .split(delimiter)
  .map((folder) => join(folder, "node"))
  .find((path) => /^v(1[2-9]|20|21|23)\./.test(spawnSync(path, ["--version"]).stdout?.toString() ?? ""));

/** This Node, which says that it is an old one. */
const pretended = `data:text/javascript,Object.defineProperty(process,"version",{value:"v20.20.2"})`;

const runs: [string, string, string[]][] = [
  ["this Node, as v20.20.2", process.execPath, ["--import", pretended]],
  ...(oldNode === undefined ? [] : [[oldNode, oldNode, []] as [string, string, string[]]]),
];

describe.each(runs)("%s", (_, node, args) => {
  test.each([["--help"], ["ls"], ["listen", "name"]])("bss %s says what it needs, in one line: 8", async (...words) => {
    const child = spawn(node, [...args, mainPath, ...words], { stdio: ["ignore", "pipe", "pipe"] });
    const closed = once(child, "close");
    const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    expect({ code, output, lines: errors.split("\n").length - 1 }).toEqual({ code: 8, output: "", lines: 1 });
  });
});
