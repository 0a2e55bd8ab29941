import type { BenchRun } from "./bench-run.ts";
import { comparisons, hasReachedGoal, resultOf, shownLimit, shownResult } from "./comparisons.ts";
import { shown, shownSpread } from "./number.ts";
import {
  behindTable,
  crowdTable,
  curveTable,
  failedList,
  gatewayTable,
  goalCount,
  httpTable,
  nodeTable,
  ratioTable,
  tabTable,
} from "./tables.ts";

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
  // Runs of before the gateway was measured have neither table.
  "gateway-table": (run) => gatewayTable(run) || notMeasured,
  "http-table": httpTable,
  "goal-count": goalCount,
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

/** `{{missed OURS YARDSTICK FIGURE…}}`, lines with the reason, `{{/missed}}`. The yardstick may be `none`. */
const missedBlock = /\{\{missed (\S+) (\S+) (.+?)\}\}\n([\s\S]*?)\n\{\{\/missed\}\}\n/g;

/** One item of a list: the comparisons that miss their goals, and the reason. Empty if none of them misses its goal. */
function missedItem(run: BenchRun, ours: string, yardstick: string, figures: string, reason: string): string {
  const missed = figures.split(" ").flatMap((figure) => {
    const found = comparisons.find(
      (each) => each.figure === figure && each.ours === ours && (each.yardstick ?? "none") === yardstick,
    );
    if (found?.goal === undefined) throw new Error(`${figure} of ${ours} beside ${yardstick} has no goal`);
    const result = resultOf(run, found);
    if (result === undefined || hasReachedGoal(run, found) !== false) return [];
    return [`**${found.title}**: ${shownResult(result, found)}, goal ${shownLimit(found, found.goal)}`];
  });
  if (missed.length === 0) return "";
  const lines = `${missed.join(";\n")}.\n${reason}`.split("\n");
  return `- ${lines.join("\n  ")}\n`;
}

/**
 * Fills the figures of a run into the template. Reasons for missed goals are shown only where the run misses them.
 * Throws for a placeholder that does not exist, and for a reason without a goal.
 */
export function fillReadme(template: string, run: BenchRun, profile: string): string {
  const withReasons = template.replaceAll(missedBlock, (_, ours: string, yardstick: string, figures: string, reason) =>
    missedItem(run, ours, yardstick, figures, reason),
  );
  return withReasons.replaceAll(/\{\{(.+?)\}\}/g, (_, placeholder: string) => {
    const [name = "", ...args] = placeholder.split(" ");
    const fill = placeholders[name];
    if (fill === undefined) throw new Error(`the template has {{${placeholder}}}, which does not exist`);
    return fill(run, profile, ...args);
  });
}
