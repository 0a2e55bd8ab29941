import { setTimeout as sleep } from "node:timers/promises";
import { type NetworkCarrier, networkCarriers } from "../carriers.ts";
import { talksOf } from "../parties/talk.ts";
import { TwoParties } from "../parties/two-parties.ts";
import { BssRelay } from "../relay/bss-relay.ts";
import { within } from "../within.ts";
import { type Scenario, type ScenarioResult, together } from "./scenario.ts";

/** The relay's own grace period, and those of Node, are 120 s. */
const outagesS = [5, 30, 110, 130];
const shortOutagesS = [1];
const graceS = 120;
/** After the network is back, an endpoint tries again within 5 s. */
const settleTimeoutMs = 30_000;
/** The time for an endpoint to learn that its peer is lost: heartbeats, and the rest of the grace period. */
const lossTimeoutMs = 60_000;

/** The client's network is away for a time, while both parties write. */
async function outage(relay: BssRelay, carrier: NetworkCarrier, seconds: number): Promise<ScenarioResult> {
  const parties = await TwoParties.open(relay.port, carrier, `${carrier} ${seconds}`);
  const name = `${carrier}, ${seconds} s`;
  try {
    const talks = talksOf(await parties.connect());
    await sleep(1_000);
    parties.networks.client.begin("away");
    await sleep(seconds * 1_000);
    parties.networks.client.heal();
    const isLost = seconds > graceS;
    if (!isLost) {
      await sleep(1_000);
      for (const talk of talks) talk.end();
    }
    const ended = Promise.all(talks.map((talk) => talk.ended));
    await within(isLost ? lossTimeoutMs : settleTimeoutMs, `${name}: the stream does not end`, ended);
    const problems = talks.flatMap((talk) => (isLost ? talk.lossProblems() : talk.problems()));
    const accounts = talks.map(({ account }) => account).join(" and ");
    const outcome = isLost
      ? `LEG_LOST on both sides, with the accounts ${accounts}`
      : `${talks[0].received} and ${talks[1].received} messages, none lost`;
    return {
      figures: [`${name}: ${problems.length === 0 ? outcome : "failed"}`],
      problems: problems.map((text) => `${name}: ${text}`),
    };
  } finally {
    await parties.close();
  }
}

export const outages: Scenario = {
  name: "outages",
  about: "The client's network is away while both parties write; the grace period is the usual 120 s.",
  async run({ isShort }) {
    const relay = await BssRelay.start();
    try {
      const results = networkCarriers.flatMap((carrier) =>
        (isShort ? shortOutagesS : outagesS).map((seconds) => outage(relay, carrier, seconds)),
      );
      await Promise.allSettled(results);
      return await together(results.map((result) => () => result));
    } finally {
      await relay.close();
    }
  },
};
