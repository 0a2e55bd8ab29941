import { type ContenderEntry, contenders } from "./contenders.ts";
import type { Plan } from "./plan.ts";
import { freshSection, sharedSection } from "./sections/node-sections.ts";
import type { SectionOpener } from "./sections/section.ts";
import { startUpSection } from "./sections/start-up-section.ts";
import { tabSection, tabWorkNames } from "./sections/tab-section.ts";
import { works } from "./works.ts";

const startUp = "startup";
const workNames = [...works.map(({ name }) => name), startUp, ...tabWorkNames];

/**
 * The part of the bench that some names select. Names of works select works, and names of contenders select contenders.
 * Without a name of one kind, all of that kind are selected.
 */
export class Selection {
  readonly contenders: readonly ContenderEntry[];
  readonly #workNames: ReadonlySet<string>;

  /** Throws if a name is neither a work's nor a contender's. */
  constructor(names: readonly string[]) {
    const contenderNames = contenders.map(({ name }) => name as string);
    const unknown = names.filter((name) => !workNames.includes(name) && !contenderNames.includes(name));
    if (unknown.length > 0) {
      const known = `works: ${workNames.join(", ")}; contenders: ${contenderNames.join(", ")}`;
      throw new Error(`there is no ${unknown.join(", ")}\n${known}`);
    }
    const chosen = (all: readonly string[]) => {
      const named = all.filter((name) => names.includes(name));
      return new Set(named.length === 0 ? all : named);
    };
    this.#workNames = chosen(workNames);
    const chosenContenders = chosen(contenderNames);
    this.contenders = contenders.filter(({ name }) => chosenContenders.has(name));
  }

  /** The packages of `bench/package.json` that the selected contenders need. */
  get packages(): string[] {
    return [...new Set(this.contenders.flatMap(({ packages }) => packages))];
  }

  sections(plan: Plan): SectionOpener[] {
    const chosen = works.filter(({ name }) => this.#workNames.has(name));
    const shared = chosen.filter(({ processes }) => processes === "shared");
    const fresh = chosen.filter(({ processes }) => processes === "fresh");
    const tabWorks = tabWorkNames.filter((name) => this.#workNames.has(name));
    const hasTabs = tabWorks.length > 0 && this.contenders.some(({ hasPage }) => hasPage);
    return [
      ...(shared.length > 0 ? [sharedSection(shared, this.contenders, plan)] : []),
      ...fresh.map((work) => freshSection(work, this.contenders, plan)),
      ...(this.#workNames.has(startUp) ? [startUpSection(plan)] : []),
      ...(hasTabs ? [tabSection(tabWorks, this.contenders, plan)] : []),
    ];
  }
}
