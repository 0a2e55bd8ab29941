import { afterAll, beforeAll, expect, test } from "vitest";
import { openRelay, type TestRelay } from "../integration/relay-ports.js";
import { openPair, type Pair, pass } from "./pair.js";
import { proxies } from "./proxies.js";
import type { RunningProxy } from "./start-proxy.js";
import { trustTestCertificate } from "./trust.js";
import { prefixes } from "./ways.js";

/** Longer than the 60 s after which proxies usually take a connection for dead. */
const idleMs = 75_000;

interface IdlePair extends Pair {
  name: string;
  /** The suspensions of its streams: a proxy that cuts idle connections would go unnoticed without them. */
  suspensions: unknown[];
  close(): void;
}

let relay: TestRelay;
const running: RunningProxy[] = [];
const pairs: IdlePair[] = [];

trustTestCertificate();

beforeAll(async () => {
  relay = await openRelay({ prefix: prefixes });
  for (const [proxyName, { start, ways }] of Object.entries(proxies)) {
    const proxy = await start(relay.origin);
    running.push(proxy);
    for (const [wayName, { prefix, open }] of Object.entries(ways)) {
      const way = open(proxy.origin + prefix);
      const name = `${wayName} through ${proxyName}`;
      const pair = await openPair(way.transport, name);
      const suspensions: unknown[] = [];
      for (const stream of [pair.there, pair.here]) stream.on("suspended", (each) => suspensions.push(each));
      pairs.push({ ...pair, name, suspensions, close: way.close });
      // The stream is idle after something has gone through.
      await pass(pair.there, pair.here, "first");
    }
  }
});

afterAll(async () => {
  await Promise.all(pairs.map(({ end }) => end()));
  for (const { close } of pairs) close();
  for (const proxy of running) await proxy.end();
  await relay?.close();
});

test("streams that were idle for longer than a minute are alive, over the connections that they had", {
  timeout: idleMs + 30_000,
}, async () => {
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  const outcomes = await Promise.all(pairs.map(outcomeOf));
  expect(outcomes).toEqual(pairs.map(({ name }) => `${name}: ping, pong`));
  expect(pairs.filter(({ suspensions }) => suspensions.length > 0).map(({ name }) => name)).toEqual([]);
});

async function outcomeOf({ name, there, here }: IdlePair): Promise<string> {
  try {
    return `${name}: ${await pass(there, here, "ping")}, ${await pass(here, there, "pong")}`;
  } catch (reason) {
    return `${name}: ${reason}`;
  }
}
