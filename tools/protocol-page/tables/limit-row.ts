import { defaultLimits, type RelayLimits } from "../../../server/admission/limits.js";
import { code, grouped, table } from "./markdown.js";

/** A row of the page's tables of limits. */
export interface LimitRow {
  /** The thing that is limited. */
  what: string;
  value: string;
  enforcedBy: string;
  /** The consequence of exceeding the limit. */
  beyond: string;
  /** The field in which an endpoint learns the limit. */
  told: string;
}

export const bytes = (value: number) => `${grouped(value)} bytes`;
export const ms = (value: number) => `${grouped(value)} ms`;
export const notTold = "not told";
export const inLimits = (field: string) => `${code(`Limits.${field}`)}, in ${code("Registered")} and ${code("Opened")}`;
export const limitReached = code("FAILURE_LIMIT_REACHED");
export const tooLarge = code("FAILURE_FRAME_TOO_LARGE");

/** Rows of limits that the operator of the relay may set. Each row is made from the default value. */
export type RelayRows = Partial<Record<keyof RelayLimits, (value: number) => Omit<LimitRow, "enforcedBy">>>;

export function limitTable(relayRows: RelayRows, fixedRows: readonly LimitRow[]): string {
  const rows = Object.entries(relayRows).map(([key, row]) => ({
    ...row(defaultLimits[key as keyof RelayLimits]),
    enforcedBy: `the relay, as ${code(key)}`,
  }));
  const cells = [...rows, ...fixedRows].map((row) => [row.what, row.value, row.enforcedBy, row.beyond, row.told]);
  return table(["what", "default", "enforced by", "what happens", "told in"], cells);
}
