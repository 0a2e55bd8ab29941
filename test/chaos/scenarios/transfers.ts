import { setTimeout as sleep } from "node:timers/promises";
import { type NetworkCarrier, networkCarriers } from "../carriers.ts";
import { cutKinds } from "../history/step.ts";
import { mebibyte, Transfer } from "../parties/transfer.ts";
import { TwoParties } from "../parties/two-parties.ts";
import { BssRelay } from "../relay/bss-relay.ts";
import { within } from "../within.ts";
import { type Scenario, type ScenarioResult, together } from "./scenario.ts";

const timeoutMs = 600_000;

/** Transfers bytes over one carrier, and calls `disturb` at so many places, evenly spread. */
async function disturbed(
  carrier: NetworkCarrier,
  bytes: number,
  places: number,
  disturb: (parties: TwoParties, relay: BssRelay, place: number) => Promise<void> | void,
): Promise<ScenarioResult> {
  const relay = await BssRelay.start();
  const parties = await TwoParties.open(relay.port, carrier, "transfer");
  try {
    const { client, listener } = await parties.connect();
    let resumptions = 0;
    client.on("resumed", () => {
      resumptions += 1;
    });
    const transfer = new Transfer(bytes);
    let place = 0;
    const disturbances: (Promise<void> | void)[] = [];
    transfer.onProgress = () => {
      if (place === places || transfer.receivedBytes < ((place + 1) * bytes) / (places + 1)) return;
      disturbances.push(disturb(parties, relay, place));
      place += 1;
    };
    const startMs = performance.now();
    const done = Promise.all([transfer.send(client), transfer.receive(listener)]);
    const problems = await within(timeoutMs, "the transfer does not end", done).then(
      () => transfer.problems(),
      (error) => [`after ${transfer.receivedBytes} of ${bytes} bytes and ${place} places: ${error}`],
    );
    await Promise.all(disturbances);
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
    const outcome = problems.length === 0 ? "equal hash" : "lost";
    const size = `${bytes / mebibyte} MiB`;
    return {
      figures: [
        `${carrier}: ${size}, ${place} of ${places} places, ${resumptions} times resumed, ${seconds} s: ${outcome}`,
      ],
      problems: problems.map((problem) => `${carrier}: ${problem}`),
    };
  } finally {
    await parties.close();
    await relay.close();
  }
}

export const cutTransfers: Scenario = {
  name: "cuts",
  about: "100 cuts in the middle of a transfer, at the client and at the listener in turn, with each kind of cut.",
  run: ({ isShort }) =>
    together(
      networkCarriers.map((carrier) => () => {
        const [bytes, cuts] = isShort ? [8 * mebibyte, 10] : [256 * mebibyte, 100];
        return disturbed(carrier, bytes, cuts, ({ networks }, _, place) => {
          const how = cutKinds[(place >> 1) % cutKinds.length] ?? "rst";
          networks[place % 2 === 0 ? "client" : "listener"].cut(how);
        });
      }),
    ),
};

export const killedTransfers: Scenario = {
  name: "kill",
  about: "`kill -9` of the relay in the middle of a transfer, and a new process 3 s later, with the same key.",
  run: ({ isShort }) =>
    together(
      networkCarriers.map((carrier) => () => {
        const [bytes, awayMs] = isShort ? [8 * mebibyte, 300] : [256 * mebibyte, 3_000];
        return disturbed(carrier, bytes, 1, async (_, relay) => {
          await relay.end("SIGKILL");
          await sleep(awayMs);
          await relay.restart();
        });
      }),
    ),
};
