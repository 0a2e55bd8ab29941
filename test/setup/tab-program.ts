import { fileURLToPath } from "node:url";
import { build } from "vite";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Builds the programs for a tab as one module, which imports the package by its name. */
export default async function tabProgram(): Promise<void> {
  await build({
    configFile: false,
    logLevel: "error",
    build: {
      outDir: path("../.out"),
      emptyOutDir: false,
      minify: false,
      lib: { entry: path("../interop/agents/tab-program.ts"), formats: ["es"], fileName: () => "tab-program.js" },
      rolldownOptions: { external: ["browser-stream-server"] },
    },
  });
}
