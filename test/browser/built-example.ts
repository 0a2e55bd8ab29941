import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, preview } from "vite";
import { onTestFinished } from "vitest";
import { root } from "../gate/command.js";

/**
 * Builds an example and serves it by its own configuration, with its relay, until the test ends. Resolves with the
 * port. Libraries are in their development builds, in which React's StrictMode runs each effect twice; Vite's
 * development server would load a page again whose connections are cut.
 */
export async function serveExample(name: string): Promise<number> {
  const outDir = await mkdtemp(join(tmpdir(), `bss-${name}-`));
  onTestFinished(() => rm(outDir, { recursive: true }));
  const example = join(root, "examples", name);
  const define = { "process.env.NODE_ENV": JSON.stringify("development") };
  await build({ root: example, logLevel: "error", define, build: { outDir, emptyOutDir: true } });
  const options = { port: 0, host: "127.0.0.1" };
  const server = await preview({ root: example, logLevel: "error", build: { outDir }, preview: options });
  onTestFinished(() => server.close());
  return (server.httpServer.address() as AddressInfo).port;
}
