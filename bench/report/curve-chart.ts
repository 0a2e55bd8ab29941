import { contenders } from "../contenders.ts";
import type { Spread } from "../statistics.ts";
import type { BenchRun } from "./bench-run.ts";
import { curveFigures } from "./figures.ts";
import { shown } from "./number.ts";
import { element, picture, text } from "./svg.ts";
import { curveCounts } from "./tables.ts";

const panelWidth = 320;
const panelHeight = 230;
const left = 52;
const right = 28;
const top = 34;
const bottom = 30;
const legendHeight = 26;
const seriesCount = 4;

interface Series {
  title: string;
  color: string;
}

interface Point {
  count: number;
  spread: Spread;
}

/** The powers of ten that enclose all values. */
function decades(values: readonly number[]): number[] {
  const from = Math.floor(Math.log10(Math.min(...values)));
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values))));
  return Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index));
}

function line({ color }: Series, points: readonly Point[], x: (n: number) => number, y: (n: number) => number): string {
  const path = points.map(({ count, spread }) => `${x(count).toFixed(1)},${y(spread.median).toFixed(1)}`).join(" ");
  const marks = points.map(
    ({ count, spread }) =>
      element("line", { x1: x(count), x2: x(count), y1: y(spread.min), y2: y(spread.max), stroke: color }) +
      element("circle", { cx: x(count), cy: y(spread.median), r: 3, fill: color }),
  );
  return element("polyline", { points: path, fill: "none", stroke: color, "stroke-width": 2 }) + marks.join("");
}

/** Draws the rates of pairing, forwarding and closing against the number of open streams, on logarithmic axes. */
export function curveChart(run: BenchRun): string {
  const counts = curveCounts(run);
  const measured = contenders.filter(({ name }) => run.spread(`curve.pairingsPerS${counts[0]}`, name) !== undefined);
  const seriesOf = new Map<string, Series>(
    measured.map(({ name, title }, index) => [
      name,
      { title: title.replaceAll("`", ""), color: `var(--series${index % seriesCount})` },
    ]),
  );
  const [first = 1] = counts;
  const last = counts.at(-1) ?? first;
  const span = Math.log10(last / first) || 1;
  const x = (count: number) => left + (Math.log10(count / first) / span) * (panelWidth - left - right);

  const panels = curveFigures.map(({ name, title }, index) => {
    const lines = [...seriesOf].map(([contender, series]) => {
      const points = counts.flatMap((count) => {
        const spread = run.spread(`curve.${name}${count}`, contender);
        return spread === undefined ? [] : [{ count, spread }];
      });
      return { series, points };
    });
    const values = lines.flatMap(({ points }) => points.flatMap(({ spread }) => [spread.min, spread.max]));
    const ticks = decades(values.filter((value) => value > 0));
    const [lowest = 1] = ticks;
    const height = Math.log10((ticks.at(-1) ?? 10) / lowest);
    const y = (value: number) =>
      panelHeight - bottom - (Math.log10(Math.max(value, lowest) / lowest) / height) * (panelHeight - top - bottom);
    const rules = ticks.map(
      (tick) =>
        element("line", { x1: left, x2: panelWidth - right, y1: y(tick), y2: y(tick), stroke: "var(--rule)" }) +
        text(left - 6, y(tick) + 4, shown(tick), { "text-anchor": "end", class: "faint" }),
    );
    const labels = counts.map((count) =>
      text(x(count), panelHeight - 10, count.toLocaleString("en"), { "text-anchor": "middle", class: "faint" }),
    );
    const axis = text(left - 14, panelHeight - 10, "open", { "text-anchor": "end", class: "faint" });
    const drawn = lines.map(({ series, points }) => line(series, points, x, y));
    const content = [text(left, 18, title, { class: "title" }), ...rules, ...labels, axis, ...drawn].join("");
    return element("g", { transform: `translate(${index * panelWidth} 0)` }, content);
  });
  const width = curveFigures.length * panelWidth;
  const legend = [...seriesOf.values()].map(({ title, color }, index) => {
    const start = left + index * (width / seriesCount);
    const sample = element("rect", { x: start, y: panelHeight + 6, width: 12, height: 12, rx: 2, fill: color });
    return sample + text(start + 18, panelHeight + 16, title);
  });
  const label = "Pairing, forwarding and closing against the number of open streams";
  return picture(width, panelHeight + legendHeight, label, [...panels, ...legend].join("\n"));
}
