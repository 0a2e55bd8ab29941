import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Stream, StreamClient, StreamServer } from "browser-stream-server";
import { networkCarriers, openWay } from "../carriers.ts";
import { NetworkNamespace } from "../network/network-namespace.ts";
import { type Talk, talksOf } from "../parties/talk.ts";
import { within } from "../within.ts";
import type { Scenario } from "./scenario.ts";

const port = 8_080;
const startTimeoutMs = 30_000;
/** TCP sends again ever more rarely, and a connection that is lost is noticed after 37.5 s. */
const returnTimeoutMs = 60_000;
const command = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));

interface Trouble {
  name: string;
  ms: number;
  begin(namespace: NetworkNamespace): Promise<void>;
  end(namespace: NetworkNamespace): Promise<void>;
}

function troubles(isShort: boolean): Trouble[] {
  const linkDown = (ms: number): Trouble => ({
    name: `the link is down for ${ms / 1_000} s`,
    ms,
    begin: (namespace) => namespace.setLink("down"),
    end: (namespace) => namespace.setLink("up"),
  });
  const drop = (share: number, ms: number): Trouble => ({
    name: `${share * 100}% of the packets are dropped for ${ms / 1_000} s`,
    ms,
    begin: (namespace) => namespace.drop(share),
    end: (namespace) => namespace.drop(0),
  });
  if (isShort) return [linkDown(1_000), drop(1, 1_000)];
  return [linkDown(3_000), drop(1, 3_000), drop(0.3, 10_000), linkDown(60_000), drop(1, 60_000)];
}

export const namespaces: Scenario = {
  name: "namespace",
  about:
    "The relay runs in a network namespace, whose link goes down and drops packets, under streams of all carriers.",
  async run({ isShort }) {
    const obstacle = await NetworkNamespace.obstacle();
    if (obstacle !== undefined) return { figures: [`not run here: ${obstacle}`], problems: [] };
    const namespace = await NetworkNamespace.open();
    const args = [command, "serve", "--open", "--host", namespace.address, "--port", String(port)];
    const relay = spawn("ip", ["netns", "exec", namespace.name, process.execPath, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [figures, problems]: [string[], string[]] = [[], []];
    try {
      await within(startTimeoutMs, "the relay does not start", once(relay.stdout, "data"));
      const origin = `http://${namespace.address}:${port}`;
      const pairs = await Promise.all(networkCarriers.map((carrier) => connect(carrier, origin)));
      for (const trouble of troubles(isShort)) {
        await sleep(1_000);
        await trouble.begin(namespace);
        await sleep(trouble.ms);
        await trouble.end(namespace);
        const times = await Promise.all(pairs.map(({ carrier, talks }) => timeOfReturn(carrier, talks, problems)));
        figures.push(`${trouble.name}: the first new message after ${times.join(", ")}`);
      }
      for (const { carrier, talks, close } of pairs) {
        for (const talk of talks) talk.end();
        const ended = Promise.all(talks.map((talk) => talk.ended));
        await within(startTimeoutMs, `${carrier} does not end`, ended).catch((error) => problems.push(String(error)));
        problems.push(...talks.flatMap((talk) => talk.problems()).map((problem) => `${carrier}: ${problem}`));
        await close();
      }
    } catch (error) {
      problems.push(String(error));
    } finally {
      relay.kill("SIGKILL");
      await namespace.close();
    }
    return { figures, problems };
  },
};

async function connect(carrier: (typeof networkCarriers)[number], origin: string) {
  const ways = [openWay(carrier, origin), openWay(carrier, origin)] as const;
  const server = StreamServer(ways[0].transport);
  const arrived = new Promise<Stream>((resolve) => server.once("stream", resolve));
  await server.listen(carrier).ready;
  const client = StreamClient(ways[1].transport).connect(carrier);
  const listener = await within(startTimeoutMs, `${carrier} does not connect`, arrived);
  const close = async () => {
    await server.end();
    for (const way of ways) way.close();
  };
  return { carrier, talks: talksOf({ client, listener }), close };
}

/** Resolves when both sides have got a message again, with how long that took. */
async function timeOfReturn(carrier: string, talks: readonly Talk[], problems: string[]): Promise<string> {
  const startMs = performance.now();
  while (talks.some(({ receivedMs }) => receivedMs < startMs)) {
    if (performance.now() - startMs > returnTimeoutMs) {
      problems.push(`${carrier}: no message within ${returnTimeoutMs / 1_000} s`);
      return `${carrier} never`;
    }
    await sleep(5);
  }
  return `${carrier} ${(performance.now() - startMs).toFixed(0)} ms`;
}
