import { setTimeout as sleep } from "node:timers/promises";
import { Failure, StreamClient, type StreamError } from "browser-stream-server";
import { loadEngines } from "../parties/engine-modules.ts";
import { BssRelay } from "../relay/bss-relay.ts";
import { within } from "../within.ts";
import type { Scenario } from "./scenario.ts";

const waitForListenerMs = 10_000;
const clientTimeoutMs = 20_000;
const betweenMs = 30;
const betweenReloadsMs = 300;

const listening = `
  import { StreamServer } from "browser-stream-server";
  await StreamServer(location.origin, (stream) => {
    stream.on("data", (message) => stream.end(message));
  }).listen("reloaded").ready;
`;

export const reloads: Scenario = {
  name: "reloads",
  about: "A listening tab in Chromium is reloaded 50 times while clients keep connecting, half of them waiting for it.",
  async run({ isShort }) {
    const [engine] = await loadEngines();
    if (engine === undefined) return { figures: [], problems: ["there is no engine"] };
    const reloads = isShort ? 3 : 50;
    const relay = await BssRelay.start();
    const browser = await engine.launch();
    const problems: string[] = [];
    const outcomes = new Map<string, number>();
    const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    let isOver = false;

    const client = async (waits: boolean) => {
      const options = waits ? { waitForListenerMs } : {};
      const stream = StreamClient(relay.origin).connect("reloaded", options);
      let isOpened = false;
      const opened = stream.opened.then(
        () => {
          isOpened = true;
        },
        () => {},
      );
      stream.on("data", () => {});
      stream.end("there and back");
      const end = stream.closed.then(
        () => "well",
        ({ failure }: StreamError) => Failure[failure],
      );
      const outcome = await within(clientTimeoutMs, "a client hangs", end).catch(String);
      await within(clientTimeoutMs, "a client hangs", opened).catch(() => {});
      count(`${outcome}${waits ? " (waiting)" : ""}`);
      // A page that was left took its streams with it; a client that waits gets one all the same.
      if (waits && !isOpened) problems.push(`a client that waits got ${outcome}`);
      if (outcome.includes("hangs")) problems.push(outcome);
      stream.destroy();
    };
    const clients = async (waits: boolean) => {
      while (!isOver) {
        await client(waits);
        await sleep(betweenMs);
      }
    };

    try {
      const tab = await browser.openTab(relay.origin);
      await tab.goto(`${relay.origin}/`);
      await tab.run(listening);
      const underway = [true, true, false, false].map(clients);
      for (let reload = 0; reload < reloads; reload += 1) {
        await sleep(betweenReloadsMs);
        await tab.goto(`${relay.origin}/`);
        await tab.run(listening).catch((error) => problems.push(`the tab gets no name: ${error.message}`));
      }
      await sleep(betweenReloadsMs);
      isOver = true;
      await Promise.all(underway);
      await tab.close();
    } finally {
      isOver = true;
      await browser.close();
      await relay.close();
    }
    const ends = [...outcomes].map(([outcome, times]) => `${times} ${outcome}`).join(", ");
    return { figures: [`${reloads} reloads, and the clients ended: ${ends}`], problems: problems.slice(0, 20) };
  },
};
