import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { StreamClient, StreamServer } from "browser-stream-server";
import { openWay } from "../carriers.ts";
import { limits } from "../limits.ts";
import { ChaosProxy } from "../network/chaos-proxy.ts";
import { mebibyte } from "../parties/transfer.ts";
import { RelayChild } from "../relay/relay-child.ts";
import { within } from "../within.ts";
import type { Scenario } from "./scenario.ts";

const maxGrowthBytes = 5 * mebibyte;
/** Streams at once. */
const concurrency = 50;
const endTimeoutMs = 30_000;
const restTimeoutMs = 20_000;

export const leaks: Scenario = {
  name: "leaks",
  about: "200,000 pairings and 20,000 resumes; the heap of the relay must not have grown since 20,000 pairings.",
  async run({ isShort }) {
    const [pairings, resumes] = isShort ? [3_000, 300] : [200_000, 20_000];
    const order = { port: 0, tokenKey: randomBytes(32).toString("base64url"), limits, drainTimeoutMs: 0 };
    const problems: string[] = [];
    const relay = await RelayChild.start(order, (text) => problems.push(text));
    const network = await ChaosProxy.open(relay.port);
    const ways = {
      client: openWay("websocket", network.origin),
      listener: openWay("http2", `http://127.0.0.1:${relay.port}`),
    };
    const server = StreamServer(ways.listener.transport, (stream) => stream.pipe(stream)).listen("leaks");
    await server.ready;
    let resumed = 0;

    /** Opens a stream, sends a message there and back, cuts the network if so, and ends. */
    const pairing = async () => {
      const stream = StreamClient(ways.client.transport).connect("leaks");
      stream.on("resumed", () => {
        resumed += 1;
      });
      stream.on("data", () => stream.end());
      stream.write("there and back");
      await within(endTimeoutMs, "a stream does not end", stream.closed).catch((error) => problems.push(String(error)));
    };
    const pair = async (count: number) => {
      let left = count;
      const work = async () => {
        while (left > 0 && problems.length < 10) {
          left -= 1;
          await pairing();
        }
      };
      await Promise.all(Array.from({ length: concurrency }, work));
    };
    /** Cuts the network under idle streams, again and again. */
    const resume = async (count: number) => {
      const streams = Array.from({ length: concurrency }, () => StreamClient(ways.client.transport).connect("leaks"));
      const echoes = streams.map((stream) => {
        const iterator = stream[Symbol.asyncIterator]();
        return async () => {
          stream.write("still there");
          await within(endTimeoutMs, "a stream gives no answer", iterator.next());
        };
      });
      for (const stream of streams) {
        stream.on("resumed", () => {
          resumed += 1;
        });
      }
      const until = resumed + count;
      while (resumed < until && problems.length === 0) {
        await Promise.all(echoes.map((echo) => echo())).catch((error) => problems.push(String(error)));
        network.cut("rst");
      }
      for (const stream of streams) stream.end();
      await within(endTimeoutMs, "streams do not end", Promise.all(streams.map(({ closed }) => closed))).catch(
        (error) => problems.push(String(error)),
      );
    };
    const restingHeap = async () => {
      const deadlineMs = performance.now() + restTimeoutMs;
      for (;;) {
        const { counts, heapBytes } = await relay.state(true);
        const { leases, offers, streams, legs } = counts;
        if (leases === 1 && offers + streams === 0 && legs === 0) return heapBytes;
        if (performance.now() > deadlineMs) {
          problems.push(`the relay still holds ${JSON.stringify(counts)}`);
          return heapBytes;
        }
        await sleep(200);
      }
    };

    await pair(pairings / 10);
    const before = await restingHeap();
    await pair(pairings - pairings / 10);
    await resume(resumes);
    const after = await restingHeap();
    if (after - before > maxGrowthBytes) problems.push(`the heap grew from ${before} to ${after} bytes`);
    await server.end();
    for (const way of Object.values(ways)) way.close();
    await network.close();
    await relay.end("SIGKILL");
    const size = (bytes: number) => `${(bytes / mebibyte).toFixed(1)} MiB`;
    return {
      figures: [
        `${size(before)} after ${pairings / 10} pairings, ${size(after)} after ${pairings} pairings and ${resumed} resumes`,
      ],
      problems,
    };
  },
};
