import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ChaosProxy } from "../../chaos/network/chaos-proxy.js";
import { libraries } from "../../contract/websocket/libraries.js";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { holdsNothing, openRelay, type TestRelay } from "../../integration/relay-ports.js";

const page = readFileSync(new URL("../../.out/websocket-page.js", import.meta.url), "utf8");
const browserOf = launchedEngines();

describe.each(engines)("between two tabs of $name", (engine) => {
  let relay: TestRelay;
  let networks: ChaosProxy[] = [];
  let tabs: EngineTab[] = [];

  beforeAll(async () => {
    // A browser may end a tab before its goodbye is sent, and its names stay for so long.
    relay = await openRelay({ limits: { graceMs: 20_000 } });
    const port = Number(new URL(relay.origin).port);
    networks = [await ChaosProxy.open(port), await ChaosProxy.open(port)];
    tabs = await Promise.all(networks.map(({ origin }) => browserOf(engine).openTab(origin)));
    for (const tab of tabs) await tab.run(page);
  });

  afterAll(async () => {
    await Promise.all(tabs.map((tab) => tab.close()));
    if (relay !== undefined) await holdsNothing(relay, "links");
    await Promise.all(networks.map((network) => network.close()));
    await relay?.close();
  });

  test.each(libraries)("$name goes on where the connections of both are cut under it", async ({ name }) => {
    const [server, client] = tabs as [EngineTab, EngineTab];
    const text = JSON.stringify(name);
    const exchange = (step: number) => client.evaluate(`exchangeByName(${text}, ${step})`);
    await server.evaluate(`serveByName(${text}, location.origin)`);
    await client.evaluate(`connectByName(${text}, location.origin)`);
    expect(await exchange(1)).toEqual([1]);
    const exchanged = exchange(2);
    for (const network of networks) network.cut("rst");
    await exchanged;
    expect(await exchange(3)).toEqual([1, 2, 3]);
    await client.evaluate(`closeByName(${text})`);
    // The library's own way to outlive a cut is another socket.
    expect(await server.evaluate(`endByName(${text})`)).toBe(1);
  });
});
