import { setTimeout as sleep } from "node:timers/promises";
import type { Stream } from "browser-stream-server";
import { median, quantile } from "../../../bench/statistics.ts";
import { type NetworkCarrier, networkCarriers } from "../carriers.ts";
import type { CutKind } from "../history/step.ts";
import { TwoParties } from "../parties/two-parties.ts";
import { BssRelay } from "../relay/bss-relay.ts";
import { within } from "../within.ts";
import { type Scenario, type ScenarioResult, together } from "./scenario.ts";

/** Ways to be cut off for a moment. The network is there again at once. */
const hows: readonly CutKind[] = ["rst", "fin", "ghost"];
const betweenMs = 100;
const returnTimeoutMs = 20_000;

/** Writes a message and resolves with the time until it has come, in milliseconds. */
async function tripMs(from: Stream, to: Stream, text: string): Promise<number> {
  const startMs = performance.now();
  const come = new Promise<void>((resolve) => {
    const onData = (message: string | Uint8Array) => {
      if (message !== text) return;
      to.off("data", onData);
      resolve();
    };
    to.on("data", onData);
  });
  from.write(text);
  await within(returnTimeoutMs, `${text} does not come`, come);
  return performance.now() - startMs;
}

async function returnsOf(carrier: NetworkCarrier, cuts: number): Promise<ScenarioResult> {
  const relay = await BssRelay.start();
  const parties = await TwoParties.open(relay.port, carrier, "returns");
  const [whole, cut]: [number[], number[]] = [[], []];
  try {
    const { client, listener } = await parties.connect();
    for (let number = 0; number < cuts; number += 1) {
      await sleep(betweenMs);
      whole.push(await tripMs(client, listener, `${number} before`));
      const party = number % 2 === 0 ? "client" : "listener";
      parties.networks[party].cut(hows[(number >> 1) % hows.length] ?? "rst");
      cut.push(await tripMs(client, listener, `${number} after`));
    }
    client.end();
    listener.end();
    await within(returnTimeoutMs, "the stream does not end", client.closed);
  } finally {
    await parties.close();
    await relay.close();
  }
  const figures = [whole, cut].map(
    (times) => `${median(times).toFixed(1)} ms, p99 ${quantile(times, 0.99).toFixed(0)} ms`,
  );
  return { figures: [`${carrier}: ${figures[1]} after a cut, ${figures[0]} without (${cuts} cuts)`], problems: [] };
}

export const returns: Scenario = {
  name: "returns",
  about:
    "The time from a cut (RST, FIN, or one that the relay does not notice) until a message that is written then has come.",
  run: ({ isShort }) => together(networkCarriers.map((carrier) => () => returnsOf(carrier, isShort ? 12 : 200))),
};
