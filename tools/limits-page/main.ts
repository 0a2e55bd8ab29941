// `npm run generate`: writes docs/limits.md anew. With a path on the command line, the page is written to that file
// instead.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runnerImport } from "vite";

const folder = import.meta.dirname;
const [outputPath = join(folder, "../../docs/limits.md")] = process.argv.slice(2);

// The source imports "./name.js" where the file is name.ts, and gen/ has enums. Node runs neither by itself.
const program = await runnerImport<typeof import("./limits-page.js")>(join(folder, "limits-page.ts"), {
  configFile: false,
});
writeFileSync(outputPath, program.module.limitsPage());
