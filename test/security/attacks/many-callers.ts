import { crc32 } from "node:zlib";
import { createWebSocketTransport, type Stream, StreamClient, StreamServer } from "browser-stream-server";
import { Random } from "../../fakes/traffic/mutations.ts";
import { type Attack, mebibyte, type Outcome, type Target } from "../attack.ts";
import type { ServerProcess } from "../programs/server-process.ts";

/** Listeners that nobody connects to, for each stream. */
const idlePerStream = 5;
/** 2,000 streams talk for 300 s, and 10 for 1.5. */
const talkMsPerStream = 150;
/** Each stream sends a message, waits for its echo, and sends the next one so long after the one before. */
const messageIntervalMs = 1_000;
const maxMessageBytes = 8_192;
/** Names that are listened on for the streams, and clients that have connections of their own. */
const [busyNames, clients] = [20, 40];
/** Connections that are opened at once. */
const opensAtOnce = 32;
/** The resident memory is looked at this often, in the whole time. */
const memoryLooks = 60;
/** Looks in the first fifth, and in the last, whose means are compared: of five minutes, a minute each. */
const looksCompared = memoryLooks / 5;
/** The mean of the last minute may be larger by this part, and by so much that a collection leaves it open. */
const [maxGrowth, growthBytes] = [0.05, 8 * mebibyte];

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Does work for each number below `amount`, some at once. */
async function each<T>(amount: number, work: (number: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const worker = async () => {
    while (next < amount) results.push(await work(next++));
  };
  await Promise.all(Array.from({ length: opensAtOnce }, worker));
  return results;
}

/** Listens, on a connection of its own. */
async function listenOnOwn({ port }: Target, name: string): Promise<StreamServer> {
  const transport = createWebSocketTransport({ baseUrl: `http://127.0.0.1:${port}/browser-server` });
  const server = StreamServer(transport, (stream) => stream.pipe(stream)).listen(name);
  await server.ready;
  return server;
}

/** What the streams have sent and heard. */
interface Talk {
  roundTripsMs: number[];
  bytes: number;
}

/**
 * Sends messages and waits for their echoes until the time is up. Throws for a byte that is lost, or not the one sent.
 */
async function talk(stream: Stream, untilMs: number, random: Random, heard: Talk) {
  const echoes = stream[Symbol.asyncIterator]();
  let [sent, received] = [0, 0];
  await pause(random.below(messageIntervalMs));
  while (performance.now() < untilMs) {
    const startedMs = performance.now();
    const message = random.bytes(1 + random.below(maxMessageBytes));
    sent = crc32(message, sent);
    stream.write(message);
    const { value } = await echoes.next();
    received = crc32(value as Uint8Array, received);
    if (received !== sent) throw new Error("an echo is not what was sent");
    heard.roundTripsMs.push(performance.now() - startedMs);
    heard.bytes += 2 * message.byteLength;
    await pause(Math.max(0, messageIntervalMs - (performance.now() - startedMs)));
  }
  stream.end();
  if (!(await echoes.next()).done) throw new Error("an echo of nothing");
}

async function lookAtMemory(server: ServerProcess, untilMs: number): Promise<number[]> {
  const looks: number[] = [];
  const intervalMs = (untilMs - performance.now()) / memoryLooks;
  while (performance.now() < untilMs) {
    looks.push((await server.resident()).nowBytes);
    await pause(intervalMs);
  }
  return looks;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

function outcomeOf({ roundTripsMs, bytes }: Talk, looks: readonly number[]): Outcome {
  const sorted = Float64Array.from(roundTripsMs).sort();
  const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN).toFixed(0);
  const [first, last] = [mean(looks.slice(0, looksCompared)), mean(looks.slice(-looksCompared))];
  const growth = `${((last - first) / mebibyte).toFixed(1)} MiB on ${(first / mebibyte).toFixed(0)}`;
  const counts = `${sorted.length.toLocaleString("en")} round trips, none lost in ${(bytes / 1e6).toFixed(0)} MB`;
  const note = `${counts}; median ${at(0.5)} ms, p99 ${at(0.99)} ms; memory from the first minute to the last: ${growth}`;
  const isFlat = last - first <= maxGrowth * first + growthBytes;
  return { kind: "endured", note, problems: isFlat ? [] : [`the memory grew by ${growth}`] };
}

export const manyCallers: readonly Attack[] = [
  {
    name: "many callers",
    about: `has streams with a round trip in each second, and ${idlePerStream} idle listeners for each, all well-behaved`,
    bare: undefined,
    amount: { short: 10, long: 2_000 },
    expected: "endured",
    bounds: {
      cutOffMs: 600_000,
      // As much as the relay has for its objects: 10,000 names with a connection each take 450 MiB, 2,000 streams 40
      // MiB, and what is to be collected comes on top.
      peakBytes: 768 * mebibyte,
      heldBytes: 32 * mebibyte,
      roundTripMs: 250,
      turnMs: 250,
    },
    async run(target, busy) {
      const origin = `http://127.0.0.1:${target.port}`;
      const baseUrl = `${origin}/browser-server`;
      const idle = await each(idlePerStream * busy, (number) => listenOnOwn(target, `idle ${number}`));
      const echoes = await each(busyNames, (number) => listenOnOwn(target, `busy ${number}`));
      // Half of the clients use WebSockets, and half HTTP/2.
      const ways = Array.from({ length: clients }, (_, at) =>
        StreamClient(at % 2 === 0 ? origin : createWebSocketTransport({ baseUrl })),
      );
      const streams = await each(busy, async (number) => {
        const stream = (ways[number % clients] as (typeof ways)[0]).connect(`busy ${number % busyNames}`);
        await stream.opened;
        return stream;
      });
      const heard: Talk = { roundTripsMs: [], bytes: 0 };
      const untilMs = performance.now() + talkMsPerStream * busy;
      const looking = lookAtMemory(target.server, untilMs);
      await Promise.all(streams.map((stream, number) => talk(stream, untilMs, new Random(number), heard)));
      const looks = await looking;
      await each(idle.length, async (number) => (idle[number] as StreamServer).end());
      await each(echoes.length, async (number) => (echoes[number] as StreamServer).end());
      return outcomeOf(heard, looks);
    },
  },
];
