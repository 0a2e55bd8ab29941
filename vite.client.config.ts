import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { dts } from "rolldown-plugin-dts";
import { defineConfig, mergeConfig, type UserConfig } from "vite";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const { name, version } = JSON.parse(readFileSync(path("package.json"), "utf8")) as { name: string; version: string };

/** Names the licences of the bundled code, whose own comments do not survive the minifier. */
const postBanner = `/*! ${name} ${version}, MIT. With @bufbuild/protobuf and @connectrpc/*, Apache-2.0. */`;

const code: UserConfig = { build: { rolldownOptions: { input: path("web/client.ts") } } };

const types: UserConfig = {
  // Vite would strip the types before the plugin sees them.
  oxc: false,
  plugins: [dts({ dtsInput: true, emitDtsOnly: true })],
  build: { rolldownOptions: { input: path("dist/web/client.d.ts") } },
};

/**
 * Builds the client for pages without a bundler: `dist/client.js`, one module, and with `--mode types`, after `tsc` has
 * run, `dist/client.d.ts`. Neither needs another package beside it.
 */
export default defineConfig(({ mode }) =>
  mergeConfig(mode === "types" ? types : code, {
    publicDir: false,
    build: {
      outDir: path("dist"),
      emptyOutDir: false,
      target: "es2022",
      modulePreload: false,
      rolldownOptions: { preserveEntrySignatures: "strict", output: { entryFileNames: "client.js", postBanner } },
    },
  }),
);
