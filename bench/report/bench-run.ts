import { contenders } from "../contenders.ts";
import type { Machine } from "../machine.ts";
import type { Sample } from "../measurement.ts";
import type { Failed } from "../run.ts";
import { ratios, type Spread, spread } from "../statistics.ts";

/** A run as `--json` writes it. */
export interface BenchRunData {
  machine: Machine;
  durationS: number;
  samples: Sample[];
  failed: Failed[];
}

/** A contender in one figure. */
export interface Entry {
  name: string;
  title: string;
  isOurs: boolean;
  spread: Spread;
}

/**
 * The measurements of a run, by figure and contender. A figure's id is its work's name and its own:
 * "bulk.megabytesPerS".
 */
export class BenchRun {
  readonly data: BenchRunData;

  constructor(data: BenchRunData) {
    this.data = data;
  }

  /** A contender's figure over all rounds. Undefined if it was not measured. */
  spread(figure: string, contender: string): Spread | undefined {
    return spread([...this.#byRound(figure, contender).values()]);
  }

  /** One contender's figure divided by another's, round by round. Undefined if one of them was not measured. */
  ratio(figure: string, contender: string, other: string): Spread | undefined {
    return spread(ratios(this.#byRound(figure, contender), this.#byRound(figure, other)));
  }

  hasFailed(figure: string, contender: string): boolean {
    const [work] = figure.split(".");
    return this.data.failed.some((each) => each.work === work && each.contender === contender);
  }

  /** The contenders that have the figure, in the order of the tables. */
  entries(figure: string): Entry[] {
    return contenders.flatMap(({ name, title, isOurs }) => {
      const found = this.spread(figure, name);
      return found === undefined ? [] : [{ name, title, isOurs, spread: found }];
    });
  }

  #byRound(figure: string, contender: string): Map<number, number> {
    const [work, name = ""] = figure.split(".");
    const values = new Map<number, number>();
    for (const sample of this.data.samples) {
      const value = sample.values[name];
      if (sample.work !== work || sample.contender !== contender || value === undefined) continue;
      values.set(sample.round, value);
    }
    return values;
  }
}
