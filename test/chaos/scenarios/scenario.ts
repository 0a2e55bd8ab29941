/** A long run with one purpose. */
export interface Scenario {
  name: string;
  /** A sentence for the report. */
  about: string;
  run(options: ScenarioOptions): Promise<ScenarioResult>;
}

export interface ScenarioOptions {
  /** Runs a part of the scenario, in seconds, for the gate. */
  isShort: boolean;
}

export interface ScenarioResult {
  /** Lines for the report. */
  figures: string[];
  /** Everything that went wrong. Empty if the scenario has passed. */
  problems: string[];
}

/** Runs the parts of a scenario one after the other, and puts their results together. */
export async function together(parts: readonly (() => Promise<ScenarioResult>)[]): Promise<ScenarioResult> {
  const all: ScenarioResult = { figures: [], problems: [] };
  for (const part of parts) {
    const { figures, problems } = await part().catch((error) => ({
      figures: [],
      problems: [String(error?.stack ?? error)],
    }));
    all.figures.push(...figures);
    all.problems.push(...problems);
  }
  return all;
}
