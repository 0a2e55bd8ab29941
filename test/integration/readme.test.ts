import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { StreamServer } from "browser-stream-server";
import { defaultLimits } from "browser-stream-server/server";
import { expect, test } from "vitest";
import { readmeBlocks, readmeTable } from "../readme.js";

const packageFolder = fileURLToPath(new URL("../..", import.meta.url));

/** The sample as a program of its own, with what it leaves to its reader and with the port that was free. */
function program(sample: string): string {
  const connect = "const stream = proxy.connect";
  expect(sample).toContain(connect);
  return `
    const createSomeSpecialResources = (name) => console.log("created", name);
    const destroySpecialResources = (name) => console.log("destroyed", name);
    ${sample
      .replace(".listen(8080)", ".listen(0, () => console.log(someHttpServer.address().port))")
      .replace(connect, `await new Promise((resolve) => proxy.once("server.created", resolve));\n${connect}`)}
    await new Promise((resolve) => proxy.once("server.destroyed", () => setImmediate(resolve)));
    proxy.close();
    someHttpServer.close();
    someHttpServer.closeAllConnections();
  `;
}

test("the README's relay runs on somebody's server, tells of names, and connects", async () => {
  const sample = readmeBlocks("js")[2] ?? "";
  // Inside the package, where its own name leads to its build.
  const folder = await mkdtemp(join(packageFolder, "test/readme-"));
  try {
    const path = join(folder, "sample.mjs");
    await writeFile(path, program(sample));
    const child = spawn(process.execPath, [path], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const printed: string[] = [];
    const lines = createInterface({ input: child.stdout });
    const [port] = (await once(lines, "line")) as [string];
    lines.on("line", (line) => printed.push(line));
    const server = StreamServer(`http://127.0.0.1:${port}`).listen("SERVER_NAME");
    const { value: stream } = await server[Symbol.asyncIterator]().next();
    stream?.write("from server");
    stream?.end();
    await once(lines, "line");
    const others = await fetch(`http://127.0.0.1:${port}/elsewhere`);
    expect(await others.text()).toBe("my own page");
    await server.end();
    stream?.destroy();
    expect((await exited)[0]).toBe(0);
    expect(printed).toContain("created SERVER_NAME");
    expect(printed).toContain("[PROXY] from server");
    expect(printed).toContain("destroyed SERVER_NAME");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("the README's limits are the relay's", () => {
  const stated = Object.fromEntries(readmeTable("limit").map(([name, value]) => [name, Number(value)]));
  expect(stated).toEqual(defaultLimits);
});
