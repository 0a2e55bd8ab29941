import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ProcessGroup, startGroup } from "../../engines/process-group.js";
import { launchUnwatched, type UnwatchedChromium, type UnwatchedTab } from "../../engines/unwatched-chromium.js";
import { type RelayProcess, startRelay } from "../../relay-process.js";

/** The rounds are odd in number, for a median, and many, because the machine's other work comes and goes. */
const rounds = 9;
const pingsPerRound = 400;
const pingBytes = 32;
const chunkBytes = 65_536;
/** The bytes are so many that the windows, which have to fill first, are a small part of them. */
const bulkBytes = 192 * 1_048_576;

let browser: UnwatchedChromium;
let bareRelay: ProcessGroup;
let relay: RelayProcess;
let bare: UnwatchedTab;
let ours: UnwatchedTab;

/** In a page: the same two measurements over anything that sends, receives, and says when there is room. */
const measuring = `
globalThis.median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];
globalThis.pipe = undefined;
globalThis.next = () => new Promise((resolve) => { pipe.onMessage = resolve; });
globalThis.pingMs = async () => {
  const times = [];
  for (let ping = 0; ping < ${pingsPerRound}; ping += 1) {
    const sentMs = performance.now();
    const answered = next();
    pipe.send(new Uint8Array(${pingBytes}));
    await answered;
    times.push(performance.now() - sentMs);
  }
  return times;
};
globalThis.bulkMs = async () => {
  const chunk = new Uint8Array(${chunkBytes});
  const startedMs = performance.now();
  const answered = next();
  for (let sent = 0; sent < ${bulkBytes}; sent += chunk.byteLength) {
    pipe.send(chunk);
    await pipe.room();
  }
  await answered;
  return performance.now() - startedMs;
};
globalThis.answer = () => {
  let received = 0;
  pipe.onMessage = (message) => {
    if (message.byteLength === ${pingBytes}) return pipe.send(message);
    received += message.byteLength;
    if (received < ${bulkBytes}) return;
    received = 0;
    pipe.send(new Uint8Array(1));
  };
};
`;

const bareEnd = `${measuring}
(async () => {
  const socket = new WebSocket(location.origin.replace("http", "ws"));
  socket.binaryType = "arraybuffer";
  await new Promise((resolve) => { socket.onopen = resolve; });
  pipe = {
    send: (message) => socket.send(message),
    room: async () => {
      while (socket.bufferedAmount > 1_048_576) await new Promise((resolve) => setTimeout(resolve));
    },
  };
  socket.onmessage = ({ data }) => pipe.onMessage(new Uint8Array(data));
})()`;

const oursEnd = (open: string) => `${measuring}
(async () => {
  const { StreamServer, StreamClient } = await import("/package.js");
  const transport = ${JSON.stringify(relay.origin)};
  return await ${open};
})()`;

const listening = () =>
  oursEnd(`StreamServer(transport, (stream) => {
    pipe = { send: (message) => stream.write(message) };
    answer();
    stream.on("data", (message) => pipe.onMessage(message));
  }).listen("ours").ready`);

const connecting = () =>
  oursEnd(`(async () => {
    const stream = StreamClient(transport).connect("ours");
    pipe = {
      send: (message) => stream.write(message),
      room: () => stream.writableNeedDrain ? new Promise((resolve) => stream.once("drain", resolve)) : undefined,
    };
    stream.on("data", (message) => pipe.onMessage(message));
    await stream.opened;
    return stream.transport;
  })()`);

beforeAll(async () => {
  const program = fileURLToPath(new URL("../bare-relay.ts", import.meta.url));
  bareRelay = await startGroup(process.execPath, [program], { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = (await bareRelay.whileItRuns(once(createInterface({ input: bareRelay.child.stdout! }), "line"))) as [
    string,
  ];
  const origin = `http://127.0.0.1:${port}`;
  [browser, relay] = await Promise.all([launchUnwatched(), startRelay("--origin", origin)]);
  const tab = () => browser.openTab(origin);
  const bareAnswer = await tab();
  await bareAnswer.evaluate(bareEnd);
  await bareAnswer.evaluate("answer()");
  bare = await tab();
  await bare.evaluate(bareEnd);
  await (await tab()).evaluate(listening());
  ours = await tab();
  expect(await ours.evaluate(connecting())).toBe("websocket");
});

afterAll(async () => {
  await browser?.close();
  await relay?.stop();
  await bareRelay?.end();
});

const median = (numbers: number[]) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;

/** Other work of the machine slows the side that has more to do by more, and may be over by the next try. */
const retries = { retry: 5 };

/** The goal. The same code gave 1.37 to 1.50 on one day, and 1.66 to 2.06 on another. */
const maxPingRatio = 1.5;

test("a ping of 32 bytes goes from tab to tab and back nearly as fast as over a bare relay", retries, async () => {
  const times = { bare: [] as number[], ours: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    times.bare.push(...((await bare.evaluate("pingMs()")) as number[]));
    times.ours.push(...((await ours.evaluate("pingMs()")) as number[]));
  }
  const ratio = median(times.ours) / median(times.bare);
  console.log(`ping: ${median(times.ours)} ms, bare ${median(times.bare)} ms, ${ratio.toFixed(2)} times as long`);
  expect(ratio).toBeLessThan(maxPingRatio);
});

/** The ratio is 1.08 to 1.12 on a machine with nothing else to do. */
const minBulkRatio = 0.9;

test("64 KiB messages go from tab to tab nearly as fast as over a bare relay", retries, async () => {
  const times = { bare: [] as number[], ours: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    times.bare.push((await bare.evaluate("bulkMs()")) as number);
    times.ours.push((await ours.evaluate("bulkMs()")) as number);
  }
  const bareMs = median(times.bare);
  const ratio = bareMs / median(times.ours);
  console.log(`bulk: ${bareMs} ms over a bare relay; ${ratio.toFixed(2)} of its speed`);
  expect(ratio).toBeGreaterThanOrEqual(minBulkRatio);
});
