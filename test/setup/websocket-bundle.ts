import { fileURLToPath } from "node:url";
import { build } from "vite";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Builds the package's `./websocket`, and the libraries that speak over it, as one module for a page.
 * Only the tabs of one test run it, so it has no name that others could import. */
export default async function websocketBundle(): Promise<void> {
  await build({
    configFile: false,
    logLevel: "error",
    resolve: {
      alias: [
        { find: /^browser-stream-server$/, replacement: path("../../web/index.ts") },
        { find: /^browser-stream-server\/websocket$/, replacement: path("../../websocket/index.ts") },
      ],
    },
    // A library build leaves it to the application, and a page has none.
    define: { "process.env.NODE_ENV": JSON.stringify("production") },
    build: {
      outDir: path("../.out"),
      emptyOutDir: false,
      minify: false,
      lib: {
        entry: path("../contract/websocket/page.ts"),
        formats: ["es"],
        fileName: () => "websocket-page.js",
      },
    },
  });
}
