import { setTimeout as sleep } from "node:timers/promises";
import type { EngineTab } from "../../engines/engine.ts";
import { cutKinds } from "../history/step.ts";
import { ChaosProxy } from "../network/chaos-proxy.ts";
import { loadEngines } from "../parties/engine-modules.ts";
import { mebibyte } from "../parties/transfer.ts";
import { BssRelay } from "../relay/bss-relay.ts";
import { type Scenario, type ScenarioResult, together } from "./scenario.ts";

const timeoutMs = 600_000;
const pollMs = 20;

/** In a page: numbers that a message's number decides, and a hash of all words in their order. */
const words = `
  const messageBytes = 65_536;
  const fill = (number) => {
    const words = new Uint32Array(messageBytes / 4);
    let word = number + 1;
    for (let at = 0; at < words.length; at += 1) words[at] = word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    return words;
  };
  const hashed = (hash, words) => {
    for (const word of words) hash = Math.imul((hash << 5) ^ (hash >>> 27) ^ word, 16_777_619) >>> 0;
    return hash;
  };
`;

const listening = `
  import { StreamServer } from "browser-stream-server";
  ${words}
  globalThis.state = { bytes: 0, hash: 0, resumed: 0, end: undefined };
  const server = StreamServer(location.origin, (stream) => {
    stream.on("data", (message) => {
      state.bytes += message.length;
      state.hash = hashed(state.hash, new Uint32Array(message.slice().buffer));
    });
    stream.on("resumed", () => (state.resumed += 1));
    stream.on("end", () => stream.end());
    stream.closed.then(() => (state.end = "closed"), (error) => (state.end = error.message));
  }).listen("tab");
  await server.ready;
`;

const sending = (bytes: number) => `
  import { StreamClient } from "browser-stream-server";
  ${words}
  globalThis.state = { hash: 0, resumed: 0, end: undefined };
  const stream = StreamClient(location.origin).connect("tab");
  stream.on("resumed", () => (state.resumed += 1));
  stream.closed.then(() => (state.end = "closed"), (error) => (state.end = error.message));
  (async () => {
    for (let number = 0; number * messageBytes < ${bytes} && state.end === undefined; number += 1) {
      const words = fill(number);
      state.hash = hashed(state.hash, words);
      if (!stream.write(new Uint8Array(words.buffer))) await new Promise((resolve) => stream.once("drain", resolve));
    }
    stream.end();
  })();
`;

interface TabState {
  bytes: number;
  hash: number;
  resumed: number;
  end: string | undefined;
}

interface TabTransfer {
  name: string;
  bytes: number;
  places: number;
  disturb: (networks: readonly ChaosProxy[], relay: BssRelay, place: number) => Promise<void> | void;
}

/** Transfers bytes from one tab to another, each with a network of its own, and disturbs it at so many places. */
async function tabTransfer(
  openTab: (origin: string) => Promise<EngineTab>,
  { name, bytes, places, disturb }: TabTransfer,
): Promise<ScenarioResult> {
  const relay = await BssRelay.start();
  const networks = [await ChaosProxy.open(relay.port), await ChaosProxy.open(relay.port)] as const;
  const tabs: EngineTab[] = [];
  try {
    for (const network of networks) tabs.push(await openTab(network.origin));
    const [listener, client] = tabs as [EngineTab, EngineTab];
    await listener.run(listening);
    await client.run(sending(bytes));
    const startMs = performance.now();
    const stateOf = async (tab: EngineTab) => (await tab.evaluate("state")) as TabState;
    const disturbances: (Promise<void> | void)[] = [];
    let [received, sent] = [await stateOf(listener), await stateOf(client)];
    while (received.end === undefined || sent.end === undefined) {
      if (performance.now() - startMs > timeoutMs)
        throw new Error(`${name}: ended after ${received.bytes} bytes: too slow`);
      const place = disturbances.length;
      if (place < places && received.bytes >= ((place + 1) * bytes) / (places + 1)) {
        disturbances.push(disturb(networks, relay, place));
      }
      await sleep(pollMs);
      [received, sent] = [await stateOf(listener), await stateOf(client)];
    }
    await Promise.all(disturbances);
    const isEqual = received.bytes === bytes && received.hash === sent.hash;
    const isWell = isEqual && received.end === "closed" && sent.end === "closed";
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
    const resumed = received.resumed + sent.resumed;
    const ends = `after ${received.bytes} bytes: the client ${sent.end}, the listener ${received.end}`;
    return {
      figures: [
        `${name}: ${bytes / mebibyte} MiB, ${disturbances.length} of ${places} places, ${resumed} times resumed, ${seconds} s: ${isWell ? "equal hash" : "failed"}`,
      ],
      problems: isWell ? [] : [`${name}: ${ends}`],
    };
  } finally {
    for (const tab of tabs) await tab.close();
    for (const network of networks) await network.close();
    await relay.close();
  }
}

export const cutTabs: Scenario = {
  name: "tab-cuts",
  about: "100 cuts in the middle of a transfer from tab to tab in Chromium, at both in turn, with each kind of cut.",
  async run({ isShort }) {
    const [engine] = await loadEngines();
    if (engine === undefined) return { figures: [], problems: ["there is no engine"] };
    const browser = await engine.launch();
    const [bytes, places] = isShort ? [8 * mebibyte, 5] : [256 * mebibyte, 100];
    try {
      return await tabTransfer((origin) => browser.openTab(origin), {
        name: engine.name,
        bytes,
        places,
        disturb: (networks, _, place) => networks[place % 2]?.cut(cutKinds[(place >> 1) % cutKinds.length] ?? "rst"),
      });
    } finally {
      await browser.close();
    }
  },
};

export const killedTabs: Scenario = {
  name: "tab-kill",
  about: "`kill -9` of the relay in the middle of a transfer of 16 MiB from tab to tab, and a new process 3 s later.",
  async run({ isShort }) {
    const engines = await loadEngines();
    return together(
      engines.map((engine) => async () => {
        const browser = await engine.launch();
        try {
          return await tabTransfer((origin) => browser.openTab(origin), {
            name: engine.name,
            bytes: isShort ? 4 * mebibyte : 16 * mebibyte,
            places: 1,
            disturb: async (_, relay) => {
              await relay.end("SIGKILL");
              await sleep(isShort ? 300 : 3_000);
              await relay.restart();
            },
          });
        } finally {
          await browser.close();
        }
      }),
    );
  },
};
