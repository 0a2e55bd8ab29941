import { setTimeout as sleep } from "node:timers/promises";
import { StreamClient } from "browser-stream-server";
import type { BackgroundHabit } from "../../browser/freezable-chromium.ts";
import { ChaosProxy } from "../network/chaos-proxy.ts";
import { loadEngines } from "../parties/engine-modules.ts";
import { BssRelay } from "../relay/bss-relay.ts";
import { within } from "../within.ts";
import { type Scenario, type ScenarioResult, together } from "./scenario.ts";

const writeIntervalMs = 50;
const wakeTimeoutMs = 20_000;

const listening = `
  import { StreamServer } from "browser-stream-server";
  await StreamServer(location.origin, (stream) => stream.pipe(stream)).listen("frozen").ready;
`;

/** A tab echoes numbers, and is frozen again and again, with its network cut meanwhile in every second freeze. */
async function freezes(habit: BackgroundHabit, rounds: number, frozenMs: number): Promise<ScenarioResult> {
  const { launchFreezableChromium } = await import("../../browser/freezable-chromium.ts");
  const relay = await BssRelay.start();
  const network = await ChaosProxy.open(relay.port);
  const browser = await launchFreezableChromium(habit);
  const problems: string[] = [];
  const timesMs: number[] = [];
  let [written, received] = [0, 0];
  try {
    const tab = await browser.openTab(network.origin);
    await tab.run(listening);
    const stream = StreamClient(relay.origin).connect("frozen");
    stream.on("error", (error) => problems.push(`after ${received} of ${written} messages: ${error.message}`));
    stream.on("data", (message) => {
      if (message !== String(received)) problems.push(`${message} came in place of ${received}`);
      received += 1;
    });
    const timer = setInterval(() => stream.write(String(written++)), writeIntervalMs);
    for (let round = 0; round < rounds && problems.length === 0; round += 1) {
      await sleep(500);
      await tab.freeze();
      if (round % 2 === 1) network.cut("rst");
      await sleep(frozenMs);
      const [before, wokenMs] = [received, performance.now()];
      await tab.wake();
      while (received === before && performance.now() - wokenMs < wakeTimeoutMs) await sleep(1);
      timesMs.push(performance.now() - wokenMs);
      if (received === before) problems.push(`no message within ${wakeTimeoutMs / 1_000} s after waking`);
    }
    clearInterval(timer);
    stream.end();
    await within(wakeTimeoutMs, "the stream does not end", stream.closed).catch((error) =>
      problems.push(String(error)),
    );
    if (received !== written) problems.push(`${received} of ${written} messages came back`);
    await tab.close();
  } finally {
    await browser.close();
    await network.close();
    await relay.close();
  }
  const times = timesMs.map((ms) => ms.toFixed(0)).join(", ");
  return {
    figures: [
      `WebSockets ${habit}: ${received} of ${written} messages came back; after waking, the first in ${times} ms`,
    ],
    problems: problems.map((problem) => `${habit}: ${problem}`),
  };
}

export const frozen: Scenario = {
  name: "frozen",
  about: "A tab that echoes messages is frozen, its network is cut in every second freeze, and it is woken.",
  async run({ isShort }) {
    await loadEngines();
    const [rounds, frozenMs] = isShort ? [2, 1_000] : [6, 5_000];
    return together((["kept", "ended"] as const).map((habit) => () => freezes(habit, rounds, frozenMs)));
  },
};
