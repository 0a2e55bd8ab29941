import type { Spread } from "../statistics.ts";

const digits = 3;

/** Three digits count: "0.0456", "4.56", "456", "45,600". */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const rounded = Number(value.toPrecision(digits));
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(rounded) || 1)));
  return rounded.toLocaleString("en", { maximumFractionDigits: Math.min(decimals, digits) });
}

/** The median, with the smallest and the largest value where they differ. */
export function shownSpread({ median, min, max }: Spread): string {
  const [middle, low, high] = [median, min, max].map((value) => value.toFixed(value < 10 ? 2 : 1));
  return low === high ? `${middle}` : `${middle} (${low}–${high})`;
}
