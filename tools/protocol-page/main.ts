// `npm run generate`: writes docs/protocol.md with its generated blocks made anew, or writes that text to a file that is
// named on the command line.
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
