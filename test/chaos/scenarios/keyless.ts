import { setTimeout as sleep } from "node:timers/promises";
import { Failure, type StreamError } from "browser-stream-server";
import { networkCarriers } from "../carriers.ts";
import { TwoParties } from "../parties/two-parties.ts";
import { BssRelay } from "../relay/bss-relay.ts";
import { within } from "../within.ts";
import { type Scenario, together } from "./scenario.ts";

const messages = 100;
/** The streams have to end within seconds of the restart. An endpoint tries again within 5 s. */
const endTimeoutMs = 15_000;

export const keyless: Scenario = {
  name: "keyless",
  about: "`kill -9` of a relay without a key file, and a restart: streams end, with a true account.",
  run: () =>
    together(
      networkCarriers.map((carrier) => async () => {
        const relay = await BssRelay.start({ hasKey: false });
        const parties = await TwoParties.open(relay.port, carrier, "keyless");
        try {
          const { client, listener } = await parties.connect();
          let received = 0;
          listener.on("data", () => {
            received += 1;
          });
          const failed = [client, listener].map((stream) =>
            stream.closed.then(undefined, (error: StreamError) => error),
          );
          for (let number = 0; number < messages; number += 1) client.write(String(number));
          await sleep(500);
          await relay.end("SIGKILL");
          client.write("to nobody");
          await sleep(500);
          await relay.restart();
          const startMs = performance.now();
          const [error, other] = await within(endTimeoutMs, "the streams do not end", Promise.all(failed));
          const ms = (performance.now() - startMs).toFixed(0);
          const delivery = error?.delivery;
          const problems: string[] = [];
          for (const each of [error, other]) {
            if (each?.failure !== Failure.LEG_LOST)
              problems.push(`${carrier}: ended with ${each?.message ?? "success"}`);
          }
          if (
            delivery === undefined ||
            delivery.messages > received ||
            (delivery.isFinal && delivery.messages < received)
          ) {
            problems.push(`${carrier}: the account is ${JSON.stringify(delivery)}, and ${received} messages came`);
          }
          const account = `${delivery?.messages} of ${messages + 1} messages, of which ${received} came`;
          return { figures: [`${carrier}: ended ${ms} ms after the restart; the account says ${account}`], problems };
        } finally {
          await parties.close();
          await relay.close();
        }
      }),
    ),
};
