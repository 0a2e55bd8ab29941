// `npm run generate`: writes docs/resume-vectors.json anew. With a path on the command line, it is written to that file
// instead.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runnerImport } from "vite";

const folder = import.meta.dirname;
const [outputPath = join(folder, "../../docs/resume-vectors.json")] = process.argv.slice(2);

// The source imports "./name.js" where the file is name.ts, and gen/ has enums. Node runs neither by itself.
const program = await runnerImport<typeof import("./resume-vectors.js")>(join(folder, "resume-vectors.ts"), {
  configFile: false,
});
writeFileSync(outputPath, program.module.resumeVectorsFile());
