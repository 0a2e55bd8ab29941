import type { StreamContenderEntry } from "../contenders.ts";
import { flowRate, megabytesPerS, type Values } from "../measurement.ts";
import type { Tab } from "../page/chromium.ts";
import { openStage, type Stage } from "../page/stage.ts";
import { Party } from "../parties/party.ts";
import type { Plan } from "../plan.ts";
import { quantile } from "../statistics.ts";
import type { FlowOrder, FlowResult } from "../traffic/question.ts";
import type { SectionOpener, Task } from "./section.ts";

async function flow(client: Tab, messageBytes: number, unitBytes: number, plan: Plan): Promise<number> {
  const durationMs = plan.warmUpMs + plan.tabFlowMs;
  const order: FlowOrder = { messageBytes, unitBytes, durationMs };
  const result = (await client.evaluate(`tab.flow(${JSON.stringify(order)})`)) as FlowResult;
  return flowRate(result, { fromMs: plan.warmUpMs, toMs: durationMs });
}

/** The works between two tabs, by their names. */
const tabWorks: Record<string, (client: Tab, plan: Plan) => Promise<Values>> = {
  "tab-bulk": async (client, plan) => ({ megabytesPerS: megabytesPerS(await flow(client, 65_536, 1_048_576, plan)) }),
  "tab-small": async (client, plan) => ({ thousandsPerS: (await flow(client, 1_024, 262_144, plan)) / 1_024 }),
  "tab-ping": async (client, plan) => {
    const timesMs = (await client.evaluate(`tab.pings(${plan.pingMs})`)) as number[];
    return { p50Us: quantile(timesMs, 0.5) * 1_000, p99Us: quantile(timesMs, 0.99) * 1_000 };
  },
};

export const tabWorkNames: readonly string[] = Object.keys(tabWorks);

/** Works from tab to tab in Chromium. Each contender has its relay in a process, and two tabs that keep one stream. */
export function tabSection(
  works: readonly string[],
  contenders: readonly StreamContenderEntry[],
  plan: Plan,
): SectionOpener {
  return () => {
    const relays: Party<"relay">[] = [];
    const clients = new Map<string, Promise<Tab>>();
    let stage: Promise<Stage> | undefined;

    const openClient = async (contender: StreamContenderEntry): Promise<Tab> => {
      stage ??= openStage();
      const { chromium, origin } = await stage;
      const relay = new Party("relay", contender, () => {});
      relays.push(relay);
      const args = `${JSON.stringify(contender.name)}, ${await relay.call.serve()}`;
      const listener = await chromium.openTab(origin);
      await listener.evaluate(`tab.listen(${args})`);
      const client = await chromium.openTab(origin);
      await client.evaluate(`tab.connect(${args})`);
      return client;
    };
    const clientOf = (contender: StreamContenderEntry) => {
      const opened = clients.get(contender.name) ?? openClient(contender);
      clients.set(contender.name, opened);
      return opened;
    };
    const task = (work: string, contender: StreamContenderEntry): Task => ({
      work,
      contender: contender.name,
      async measure() {
        const measure = tabWorks[work];
        if (measure === undefined) throw new Error(`no such work between tabs: ${work}`);
        return measure(await clientOf(contender), plan);
      },
    });
    return {
      tasks: works.flatMap((work) => contenders.filter(({ hasPage }) => hasPage).map((each) => task(work, each))),
      rounds: plan.tabRounds,
      warmsUp: true,
      async close() {
        await stage?.then(
          (opened) => opened.close(),
          () => {},
        );
        await Promise.all(relays.map((relay) => relay.stop()));
      },
    };
  };
}
