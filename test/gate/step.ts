export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
}

/**
 * How a step ended. `tests` is there when the step ran tests; otherwise the step itself counts as one check. `unstable`
 * names the tests that failed, and passed when they were run again.
 */
export type Outcome =
  | { kind: "passed"; note?: string; tests?: TestCounts; unstable?: string[] }
  | { kind: "failed"; why: string; tests?: TestCounts }
  | { kind: "skipped"; why: string };

export interface Step {
  name: string;
  run: () => Outcome | Promise<Outcome>;
}

export const passed = (note?: string): Outcome => (note === undefined ? { kind: "passed" } : { kind: "passed", note });
export const failed = (why: string): Outcome => ({ kind: "failed", why });
export const skipped = (why: string): Outcome => ({ kind: "skipped", why });

/** In CI nothing may be skipped. */
export const isCi = process.env.CI === "true" || process.env.CI === "1";
