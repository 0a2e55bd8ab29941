import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

function project(
  name: string,
  timeoutMs: number,
  options: {
    include?: string[];
    exclude?: string[];
    fileParallelism?: boolean;
    globalSetup?: string | string[];
    isolate?: boolean;
    maxConcurrency?: number;
    maxWorkers?: number;
  } = {},
) {
  return {
    extends: true as const,
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
      ...options,
    },
  };
}

export default defineConfig({
  resolve: {
    // Tests import the package by its name and get the source, as Node would get the build.
    alias: [
      { find: /^browser-stream-server$/, replacement: source("web/node.ts") },
      { find: /^browser-stream-server\/server$/, replacement: source("server/index.ts") },
      { find: /^browser-stream-server\/http$/, replacement: source("http/node.ts") },
      { find: /^browser-stream-server\/connect$/, replacement: source("http/connect-node.ts") },
      { find: /^browser-stream-server\/mcp$/, replacement: source("mcp/index.ts") },
      { find: /^browser-stream-server\/websocket$/, replacement: source("websocket/index.ts") },
      { find: /^browser-stream-server\/gen$/, replacement: source("web/protocol.ts") },
    ],
  },
  test: {
    pool: "forks",
    isolate: true,
    setupFiles: ["test/setup/no-leaks.ts"],
    projects: [
      // A process for each file would take most of the time; nothing that these files import keeps state.
      project("unit", 10_000, { isolate: false }),
      // Much of their time is waiting, so a second file uses the processor meanwhile, where there are two only as well.
      project("integration", 30_000, { maxWorkers: 2 }),
      // Processes at work beside the test: two files at once would starve each other.
      project("cli", 60_000, { maxWorkers: 2 }),
      // The round trips of a process beside the attacked one are measured.
      project("security", 60_000, { fileParallelism: false }),
      // One file waits nearly all of the time.
      project("proxies", 30_000, { maxWorkers: 2 }),
      project("browser", 120_000, {
        exclude: ["test/browser/load/**"],
        maxWorkers: 2,
        globalSetup: [
          "test/setup/bundle.ts",
          "test/setup/contract-bundle.ts",
          "test/setup/over-http-bundle.ts",
          "test/setup/websocket-bundle.ts",
        ],
      }),
      // What these measure, nothing beside them may disturb.
      project("browser-load", 120_000, {
        include: ["test/browser/load/**/*.test.ts"],
        fileParallelism: false,
        globalSetup: ["test/setup/bundle.ts", "test/setup/contract-bundle.ts"],
      }),
      project("interop", 120_000, {
        globalSetup: [
          "test/setup/bundle.ts",
          "test/setup/contract-bundle.ts",
          "test/setup/over-http-bundle.ts",
          "test/setup/tab-program.ts",
        ],
        // Its tests run rows of the matrix at once, each with three programs or more.
        maxConcurrency: 2,
        maxWorkers: 2,
      }),
    ],
  },
});
