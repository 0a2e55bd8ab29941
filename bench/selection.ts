import { type ContenderEntry, contenders, httpContenders, streamContenders } from "./contenders.ts";
import { HttpTrio } from "./parties/http-trio.ts";
import { Trio } from "./parties/trio.ts";
import type { Plan } from "./plan.ts";
import { nodeSections } from "./sections/node-sections.ts";
import type { SectionOpener } from "./sections/section.ts";
import { startUpSection } from "./sections/start-up-section.ts";
import { tabSection, tabWorkNames } from "./sections/tab-section.ts";
import { httpWorks, works } from "./works.ts";

const startUp = "startup";
const workNames = [...works, { name: startUp }, ...tabWorkNames.map((name) => ({ name })), ...httpWorks].map(
  ({ name }) => name,
);

/**
 * The part of the bench that some names select. Names of works select works, and names of contenders select contenders.
 * Without a name of one kind, all of that kind are selected.
 */
export class Selection {
  readonly #contenderNames: ReadonlySet<string>;
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
    this.#contenderNames = chosen(contenderNames);
  }

  /** The packages of `bench/package.json` that the selected contenders need. */
  get packages(): string[] {
    return [...new Set(this.#chosen(contenders).flatMap(({ packages }) => packages))];
  }

  /** The programs that the selected works run. */
  get programs(): string[] {
    const hasHttp = this.#chosen(httpContenders).length > 0;
    return hasHttp ? [...new Set(this.#chosenWorks(httpWorks).flatMap(({ programs = [] }) => programs))] : [];
  }

  sections(plan: Plan): SectionOpener[] {
    const tabWorks = tabWorkNames.filter((name) => this.#workNames.has(name));
    const chosenContenders = this.#chosen(streamContenders);
    const hasTabs = tabWorks.length > 0 && chosenContenders.some(({ hasPage }) => hasPage);
    return [
      ...nodeSections(this.#chosenWorks(works), chosenContenders, Trio.start, plan),
      ...(this.#workNames.has(startUp) ? [startUpSection(plan)] : []),
      ...(hasTabs ? [tabSection(tabWorks, chosenContenders, plan)] : []),
      ...nodeSections(this.#chosenWorks(httpWorks), this.#chosen(httpContenders), HttpTrio.start, plan),
    ];
  }

  #chosenWorks<Each extends { name: string }>(all: readonly Each[]): Each[] {
    return all.filter(({ name }) => this.#workNames.has(name));
  }

  #chosen<Entry extends ContenderEntry>(all: readonly Entry[]): Entry[] {
    return all.filter(({ name }) => this.#contenderNames.has(name));
  }
}
