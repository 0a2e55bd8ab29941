import { fileURLToPath } from "node:url";
import { build } from "vite";

const entry = fileURLToPath(new URL("../../web/index.ts", import.meta.url));
const outDir = fileURLToPath(new URL("../.out", import.meta.url));

/** Builds the browser entry as one module, once for all browser tests and outside of their processes. */
export default async function bundle(): Promise<void> {
  await build({
    configFile: false,
    logLevel: "error",
    build: { outDir, emptyOutDir: false, minify: false, lib: { entry, formats: ["es"], fileName: () => "package.js" } },
  });
}
