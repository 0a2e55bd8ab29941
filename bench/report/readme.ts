import type { BenchRun } from "./bench-run.ts";
import { shown, shownSpread } from "./number.ts";
import { behindTable, crowdTable, curveTable, failedList, nodeTable, ratioTable, tabTable } from "./tables.ts";

const notMeasured = "(not measured)";

/** The names with which a placeholder of the template may begin. Arguments follow, separated by spaces. */
const placeholders: Record<string, (run: BenchRun, profile: string, ...args: string[]) => string> = {
  machine: ({ data: { machine } }) =>
    `${machine.cores} cores (${machine.processor}), ${machine.memoryGib} GiB, ${machine.system}, Node ${machine.node}`,
  date: ({ data }) => data.machine.date,
  minutes: ({ data }) => shown(data.durationS / 60),
  load: ({ data }) => shown(data.machine.loadBefore),
  "node-table": nodeTable,
  "crowd-table": crowdTable,
  "tab-table": tabTable,
  "ratio-table": ratioTable,
  "behind-table": behindTable,
  "curve-table": curveTable,
  failed: failedList,
  profile: (_, profile) => profile.trim(),
  value: (run, _, figure = "", contender = "") => {
    const spread = run.spread(figure, contender.replaceAll("_", " "));
    return spread === undefined ? notMeasured : shown(spread.median);
  },
  ratio: (run, _, figure = "", ours = "", yardstick = "") => {
    const ratio = run.ratio(figure, ours.replaceAll("_", " "), yardstick.replaceAll("_", " "));
    return ratio === undefined ? notMeasured : shownSpread(ratio);
  },
};

/** Fills the figures of a run into the template. Throws for a placeholder that does not exist. */
export function fillReadme(template: string, run: BenchRun, profile: string): string {
  return template.replaceAll(/\{\{(.+?)\}\}/g, (_, placeholder: string) => {
    const [name = "", ...args] = placeholder.split(" ");
    const fill = placeholders[name];
    if (fill === undefined) throw new Error(`the template has {{${placeholder}}}, which does not exist`);
    return fill(run, profile, ...args);
  });
}
