import { fileURLToPath } from "node:url";
import { build } from "vite";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Builds the stream contract as one module for a page, which imports the package by its name. */
export default async function contractBundle(): Promise<void> {
  await build({
    configFile: false,
    logLevel: "error",
    build: {
      outDir: path("../.out"),
      emptyOutDir: false,
      minify: false,
      lib: { entry: path("../contract/play.ts"), formats: ["es"], fileName: () => "contract.js" },
      rolldownOptions: { external: ["browser-stream-server"] },
    },
  });
}
