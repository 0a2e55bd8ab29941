import { setTimeout as sleep } from "node:timers/promises";
import type { Stream } from "browser-stream-server";
import { type NetworkCarrier, networkCarriers } from "../carriers.ts";
import { TwoParties } from "../parties/two-parties.ts";
import { BssRelay } from "../relay/bss-relay.ts";
import { within } from "../within.ts";
import type { Scenario } from "./scenario.ts";

const messageBytes = 1_024;
const intervalMs = 20;
const betweenMs = 1_500;
/** The port leads to the process that leaves until it has left, so no stream can move before. */
const drainTimeoutMs = 3_000;
const maxExitMs = 10_000;
const endTimeoutMs = 60_000;

/** A stream whose client writes numbered messages at a steady pace. */
class Ticker {
  written = 0;
  received = 0;
  /** The longest time between two messages that came, in milliseconds. */
  longestPauseMs = 0;
  readonly problems: string[] = [];
  readonly ended: Promise<unknown>;
  readonly #client: Stream;
  #lastMs: number | undefined;

  constructor({ client, listener }: { client: Stream; listener: Stream }) {
    this.#client = client;
    listener.on("data", (message) => this.#receive(message as Uint8Array));
    listener.on("end", () => listener.end());
    this.ended = Promise.all([client.closed, listener.closed]).catch((error) => {
      this.problems.push(`failed after ${this.received} of ${this.written} messages: ${error.message}`);
    });
  }

  tick(): void {
    const message = new Uint8Array(messageBytes);
    new DataView(message.buffer).setUint32(0, this.written);
    this.#client.write(message);
    this.written += 1;
  }

  end(): void {
    this.#client.end();
  }

  #receive(message: Uint8Array): void {
    const number = new DataView(message.buffer, message.byteOffset).getUint32(0);
    if (number !== this.received) this.problems.push(`${number} came in place of ${this.received}`);
    this.received = number + 1;
    const nowMs = performance.now();
    this.longestPauseMs = Math.max(this.longestPauseMs, nowMs - (this.#lastMs ?? nowMs));
    this.#lastMs = nowMs;
  }
}

export const rolling: Scenario = {
  name: "rolling",
  about:
    "Rolling restarts (SIGTERM, exit, a new process on the same port) under streams of 1 KiB messages at 50 a second.",
  async run({ isShort }) {
    const [restarts, streams] = isShort ? [2, 20] : [20, 200];
    const relay = await BssRelay.start({ drainTimeoutMs });
    const parties = await Promise.all(
      networkCarriers.map((carrier: NetworkCarrier) => TwoParties.open(relay.port, carrier, carrier)),
    );
    const tickers: Ticker[] = [];
    for (let at = 0; at < streams; at += 1) {
      const [first] = parties;
      tickers.push(new Ticker(await (parties[at % parties.length] ?? (first as TwoParties)).connect()));
    }
    const timer = setInterval(() => {
      for (const ticker of tickers) ticker.tick();
    }, intervalMs);
    const exits: { code: number | null; ms: number }[] = [];
    for (let restart = 0; restart < restarts; restart += 1) {
      await sleep(betweenMs);
      exits.push(await relay.end("SIGTERM"));
      await relay.restart();
    }
    await sleep(betweenMs);
    clearInterval(timer);
    for (const ticker of tickers) ticker.end();
    const ended = Promise.all(tickers.map((ticker) => ticker.ended));
    const problems: string[] = [];
    await within(endTimeoutMs, "not every stream ends", ended).catch((error) => problems.push(String(error)));
    for (const [at, ticker] of tickers.entries()) {
      problems.push(...ticker.problems.map((problem) => `stream ${at}: ${problem}`));
      if (ticker.received !== ticker.written) {
        problems.push(`stream ${at}: ${ticker.received} of ${ticker.written} messages came`);
      }
    }
    for (const { code, ms } of exits) {
      if (code !== 0 || ms > maxExitMs) problems.push(`a process ended with ${code} after ${ms.toFixed(0)} ms`);
    }
    for (const party of parties) await party.close();
    await relay.close();
    const written = tickers.reduce((sum, ticker) => sum + ticker.written, 0);
    const longest = networkCarriers.map((carrier, at) => {
      const ofCarrier = tickers.filter((_, number) => number % parties.length === at);
      return `${carrier} ${Math.max(...ofCarrier.map(({ longestPauseMs }) => longestPauseMs)).toFixed(0)} ms`;
    });
    const slowest = Math.max(...exits.map(({ ms }) => ms));
    return {
      figures: [
        `${restarts} restarts, ${streams} streams, ${written} messages: ${problems.length === 0 ? "0 lost, 0 doubled" : "failed"}`,
        `the longest pauses of a stream: ${longest.join(", ")}; the slowest exit ${slowest.toFixed(0)} ms`,
      ],
      problems: problems.slice(0, 20),
    };
  },
};
