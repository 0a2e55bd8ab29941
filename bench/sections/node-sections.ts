import type { ContenderEntry } from "../contenders.ts";
import type { Plan } from "../plan.ts";
import type { Work } from "../works/work.ts";
import type { SectionOpener, Task } from "./section.ts";

/** How to start the processes of a contender. The caller must stop them. */
export type Starter<Processes, Entry> = (contender: Entry) => Promise<Processes & { stop(): Promise<void> }>;

/** A section of works whose processes live through all rounds. In each round every contender does every work. */
export function sharedSection<Processes, Entry extends ContenderEntry>(
  works: readonly Work<Processes, Entry>[],
  contenders: readonly Entry[],
  start: Starter<Processes, Entry>,
  plan: Plan,
): SectionOpener {
  return () => {
    const started = new Map<string, ReturnType<typeof start>>();
    const processesOf = (contender: Entry) => {
      const processes = started.get(contender.name) ?? start(contender);
      started.set(contender.name, processes);
      return processes;
    };
    const stop = async (name: string) => {
      const processes = started.get(name);
      started.delete(name);
      await processes?.then(
        (each) => each.stop(),
        () => {},
      );
    };
    const task = (work: Work<Processes, Entry>, contender: Entry): Task => ({
      work: work.name,
      contender: contender.name,
      async measure() {
        try {
          return await work.measure(await processesOf(contender), plan);
        } catch (error) {
          // A failed work may leave its processes in any state, so the next work begins with new ones.
          await stop(contender.name);
          throw error;
        }
      },
    });
    return {
      tasks: works.flatMap((work) => suited(work, contenders, plan).map((each) => task(work, each))),
      rounds: plan.rounds,
      warmsUp: true,
      async close() {
        await Promise.all([...started.keys()].map(stop));
      },
    };
  };
}

/** A section of one work that starts new processes for each measurement. */
export function freshSection<Processes, Entry extends ContenderEntry>(
  work: Work<Processes, Entry>,
  contenders: readonly Entry[],
  start: Starter<Processes, Entry>,
  plan: Plan,
): SectionOpener {
  return () => ({
    tasks: suited(work, contenders, plan).map((contender) => ({
      work: work.name,
      contender: contender.name,
      async measure() {
        const processes = await start(contender);
        try {
          return await work.measure(processes, plan);
        } finally {
          await processes.stop();
        }
      },
    })),
    rounds: plan.freshRounds,
    warmsUp: false,
    close: async () => {},
  });
}

/** The sections of all works: one of those that share their processes, and one of each other. */
export function nodeSections<Processes, Entry extends ContenderEntry>(
  works: readonly Work<Processes, Entry>[],
  contenders: readonly Entry[],
  start: Starter<Processes, Entry>,
  plan: Plan,
): SectionOpener[] {
  const shared = works.filter(({ processes }) => processes === "shared");
  const fresh = works.filter(({ processes }) => processes === "fresh");
  return [
    ...(shared.length > 0 ? [sharedSection(shared, contenders, start, plan)] : []),
    ...fresh.map((work) => freshSection(work, contenders, start, plan)),
  ];
}

function suited<Entry>(work: Work<never, Entry>, contenders: readonly Entry[], plan: Plan): Entry[] {
  return contenders.filter((contender) => work.suits?.(contender, plan) ?? true);
}
