import { fileURLToPath } from "node:url";
import { build } from "vite";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Builds the package's `./http` and the contract of HTTP as one module for a page. */
export default async function httpBundle(): Promise<void> {
  await build({
    configFile: false,
    logLevel: "error",
    resolve: {
      alias: [
        { find: /^browser-stream-server$/, replacement: path("../../web/index.ts") },
        { find: /^browser-stream-server\/http$/, replacement: path("../../http/index.ts") },
      ],
    },
    build: {
      outDir: path("../.out"),
      emptyOutDir: false,
      minify: false,
      lib: { entry: path("../contract/http/http-contract.ts"), formats: ["es"], fileName: () => "http-contract.js" },
    },
  });
}
