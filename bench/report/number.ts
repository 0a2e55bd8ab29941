import type { Spread } from "../statistics.ts";

const digits = 3;

/** Writes a number with three significant digits: "0.0456", "4.56", "456", "45,600". */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const rounded = Number(value.toPrecision(digits));
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(rounded) || 1)));
  return rounded.toLocaleString("en", { maximumFractionDigits: Math.min(decimals, digits) });
}

/** Writes the median of ratios, and the smallest and the largest one if they differ. */
export const shownSpread = (spread: Spread): string => written(spread, (value) => value.toFixed(value < 10 ? 2 : 1));

/** Writes the median of figures, and the smallest and the largest one if they differ, with three digits each. */
export const shownFigure = (spread: Spread): string => written(spread, shown);

function written({ median, min, max }: Spread, write: (value: number) => string): string {
  const [middle, low, high] = [median, min, max].map(write);
  return low === high ? `${middle}` : `${middle} (${low}–${high})`;
}
