import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { barChart } from "./bar-chart.ts";
import type { BenchRun } from "./bench-run.ts";
import { curveChart } from "./curve-chart.ts";
import { fillReadme } from "./readme.ts";

/** Writes `README.md` and its plots into a folder that has the template, and the profile where there is one. */
export function writeReport(run: BenchRun, folder: string): void {
  const template = readFileSync(join(folder, "README.template.md"), "utf8");
  const profilePath = join(folder, "profile.md");
  const profile = existsSync(profilePath) ? readFileSync(profilePath, "utf8") : "There is no profile yet.";
  writeFileSync(join(folder, "README.md"), fillReadme(template, run, profile));
  writeFileSync(join(folder, "figures.svg"), barChart(run));
  writeFileSync(join(folder, "curve.svg"), curveChart(run));
}
