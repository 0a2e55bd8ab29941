import type { BenchRun, Entry } from "./bench-run.ts";
import { type Figure, nodeFigures } from "./figures.ts";
import { shown } from "./number.ts";
import { element, picture, text } from "./svg.ts";

const columns = 2;
const panelWidth = 480;
const labelWidth = 200;
const barWidth = 190;
const barHeight = 11;
const rowHeight = 18;
const headHeight = 44;
const margin = 12;

const plain = (title: string) => title.replaceAll("`", "").replace("this package, ", "").replace("HTTP/2, ", "HTTP/2 ");

function bar({ title, isOurs, spread }: Entry, y: number, longest: number): string {
  const length = (value: number) => (Math.max(0, value) / longest) * barWidth;
  const middle = y + barHeight / 2;
  return [
    text(labelWidth - 8, y + barHeight - 1, plain(title), {
      "text-anchor": "end",
      ...(isOurs ? { style: "font-weight:600" } : { class: "faint" }),
    }),
    element("rect", {
      x: labelWidth,
      y,
      width: Math.max(1, length(spread.median)),
      height: barHeight,
      rx: 2,
      fill: `var(--${isOurs ? "ours" : "other"})`,
    }),
    element("line", {
      x1: labelWidth + length(spread.min),
      x2: labelWidth + length(spread.max),
      y1: middle,
      y2: middle,
      stroke: "var(--text)",
    }),
    text(labelWidth + length(Math.max(spread.median, spread.max)) + 6, y + barHeight - 1, shown(spread.median)),
  ].join("");
}

/** Draws one figure, with its contenders from the best to the worst. */
function panel(run: BenchRun, { id, title, unit, better }: Figure): { content: string; height: number } | undefined {
  const sign = better === "higher" ? -1 : 1;
  const entries = run.entries(id).toSorted((a, b) => sign * (a.spread.median - b.spread.median));
  if (entries.length === 0) return undefined;
  const longest = Math.max(...entries.map(({ spread }) => spread.max));
  const head =
    text(margin, 18, `${title}, ${unit}`, { class: "title" }) +
    text(margin, 33, `${better} is better`, { class: "faint" });
  const bars = entries.map((entry, index) => bar(entry, headHeight + index * rowHeight, longest));
  return { content: head + bars.join(""), height: headHeight + entries.length * rowHeight + margin };
}

/** Draws every figure of the main table, with the spread over the rounds as a line on each bar. */
export function barChart(run: BenchRun): string {
  const panels = nodeFigures.flatMap((figure) => panel(run, figure) ?? []);
  const panelHeight = Math.max(0, ...panels.map(({ height }) => height));
  const placed = panels.map(({ content }, index) => {
    const x = (index % columns) * panelWidth;
    const y = Math.floor(index / columns) * panelHeight;
    return element("g", { transform: `translate(${x} ${y})` }, content);
  });
  const height = Math.ceil(panels.length / columns) * panelHeight;
  return picture(columns * panelWidth, height, "This package beside the yardsticks", placed.join("\n"));
}
