import { fileURLToPath } from "node:url";
import { build, type Plugin } from "vite";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

const entries = [
  "../contract/http/http-contract.ts",
  "../contract/service/service-contract.ts",
  "../../examples/calculator/gen/calculator_pb.js",
  "../interop/conformance/serve-conformance.ts",
];
const name = "over-http";
const allEntries: Plugin = {
  name,
  resolveId: (specifier) => (specifier === name ? `\0${name}` : undefined),
  load: (id) =>
    id === `\0${name}` ? entries.map((entry) => `export * from ${JSON.stringify(path(entry))};`).join("\n") : undefined,
};

/**
 * Builds the package's `./http` and `./connect`, their contracts, the service of the README's samples and that of the
 * conformance suite as one module for a page, so that there is one of each.
 */
export default async function overHttpBundle(): Promise<void> {
  await build({
    configFile: false,
    logLevel: "error",
    plugins: [allEntries],
    resolve: {
      alias: [
        { find: /^browser-stream-server$/, replacement: path("../../web/index.ts") },
        { find: /^browser-stream-server\/http$/, replacement: path("../../http/index.ts") },
        { find: /^browser-stream-server\/connect$/, replacement: path("../../http/connect.ts") },
      ],
    },
    build: {
      outDir: path("../.out"),
      emptyOutDir: false,
      minify: false,
      modulePreload: false,
      rolldownOptions: {
        input: name,
        preserveEntrySignatures: "strict",
        output: { entryFileNames: `${name}.js` },
      },
    },
  });
}
