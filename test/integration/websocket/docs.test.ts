import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { root } from "../../gate/command.js";
import { readmeBlocks } from "../../readme.js";
import { openRelay } from "../relay-ports.js";

test("the samples of docs/shapes.md run in Node as they stand, but for the port", async () => {
  const relay = await openRelay();
  onTestFinished(() => relay.close());
  // Inside the package, where its own name leads to its build.
  const folder = await mkdtemp(join(root, "test/shapes-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const samples = readmeBlocks("js", await readFile(join(root, "docs/shapes.md"), "utf8"));
  const printed = samples.map(async (sample, at) => {
    expect(sample).toContain("http://localhost:8080");
    const path = join(folder, `${at}.mjs`);
    await writeFile(path, sample.replace("http://localhost:8080", relay.origin));
    const child = spawn(process.execPath, [path], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(async () => {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, "close");
    });
    return String((await once(child.stdout, "data"))[0]).trim();
  });
  expect(await Promise.all(printed)).toEqual(["3", "hello, /cells"]);
});
