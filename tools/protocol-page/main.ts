// `npm run generate`: makes the generated blocks of docs/protocol.md anew. With a path on the command line, the text of
// the page is written to that file instead.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runnerImport } from "vite";

const folder = import.meta.dirname;
const pagePath = join(folder, "../../docs/protocol.md");
const [outputPath = pagePath] = process.argv.slice(2);

// The source imports "./name.js" where the file is name.ts, and gen/ has enums. Node runs neither by itself.
const program = await runnerImport<typeof import("./protocol-page.js")>(join(folder, "protocol-page.ts"), {
  configFile: false,
});
writeFileSync(outputPath, await program.module.protocolPage(readFileSync(pagePath, "utf8")));
