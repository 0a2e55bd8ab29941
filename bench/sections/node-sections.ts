import type { ContenderEntry } from "../contenders.ts";
import { Trio } from "../parties/trio.ts";
import type { Plan } from "../plan.ts";
import type { Work } from "../works/work.ts";
import type { SectionOpener, Task } from "./section.ts";

const suits = (work: Work, contender: ContenderEntry, plan: Plan) => work.suits?.(contender, plan) ?? true;

/** A section of works whose processes live through all rounds. In each round every contender does every work. */
export function sharedSection(
  works: readonly Work[],
  contenders: readonly ContenderEntry[],
  plan: Plan,
): SectionOpener {
  return () => {
    const trios = new Map<string, Promise<Trio>>();
    const trioOf = (contender: ContenderEntry) => {
      const started = trios.get(contender.name) ?? Trio.start(contender);
      trios.set(contender.name, started);
      return started;
    };
    const stop = async (name: string) => {
      const trio = trios.get(name);
      trios.delete(name);
      await trio?.then(
        (started) => started.stop(),
        () => {},
      );
    };
    const task = (work: Work, contender: ContenderEntry): Task => ({
      work: work.name,
      contender: contender.name,
      async measure() {
        try {
          return await work.measure(await trioOf(contender), plan);
        } catch (error) {
          // A failed work may leave its processes in any state, so the next work begins with new ones.
          await stop(contender.name);
          throw error;
        }
      },
    });
    const tasks = works.flatMap((work) =>
      contenders.filter((each) => suits(work, each, plan)).map((each) => task(work, each)),
    );
    return {
      tasks,
      rounds: plan.rounds,
      warmsUp: true,
      async close() {
        await Promise.all([...trios.keys()].map(stop));
      },
    };
  };
}

/** A section of one work that starts new processes for each measurement. */
export function freshSection(work: Work, contenders: readonly ContenderEntry[], plan: Plan): SectionOpener {
  return () => ({
    tasks: contenders
      .filter((each) => suits(work, each, plan))
      .map((contender) => ({
        work: work.name,
        contender: contender.name,
        async measure() {
          const trio = await Trio.start(contender);
          try {
            return await work.measure(trio, plan);
          } finally {
            await trio.stop();
          }
        },
      })),
    rounds: plan.freshRounds,
    warmsUp: false,
    close: async () => {},
  });
}
