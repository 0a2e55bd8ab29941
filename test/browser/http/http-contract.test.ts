import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callOver, httpContract, serveContract } from "../../contract/http/http-contract.js";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { type GatewayCaller, gatewayOptions, gatewayWays } from "../../integration/gateway/gateway-way.js";
import { holdsNothing, openRelay, type TestRelay } from "../../integration/relay-ports.js";

const browserOf = launchedEngines();

describe.each(engines)("a tab of $name", { concurrent: true }, (engine) => {
  let relay: TestRelay;
  /** Another relay, because names are either in paths or in hosts. */
  let byHost: TestRelay;
  let tab: EngineTab;
  let server: Awaited<ReturnType<typeof serveContract>>;

  beforeAll(async () => {
    // A browser may end a tab before its goodbye is sent, and its names stay for so long.
    const limits = { graceMs: 2_000 };
    relay = await openRelay({ limits, gateway: gatewayOptions.path });
    byHost = await openRelay({ limits, gateway: gatewayOptions.host, origins: [relay.origin] });
    server = await serveContract(relay.origin, "node");
    tab = await browserOf(engine).openTab(relay.origin);
    await tab.run(`
      import { callByName, serveContract } from "browser-stream-server/http-contract";
      for (const origin of ${JSON.stringify([relay.origin, byHost.origin])}) await serveContract(origin, "tab");
      Object.assign(globalThis, { callByName });
    `);
  });

  afterAll(async () => {
    await server?.end();
    await tab?.close();
    for (const each of [relay, byHost]) {
      if (each !== undefined) await holdsNothing(each, "links");
      await each?.close();
    }
  });

  describe("that serves", { concurrent: false }, () => {
    test.each(httpContract)("$name", (httpCase) => callOver(httpCase, relay.origin, "tab"));
  });

  describe.each(gatewayWays)(
    "that serves, through the gateway $name",
    { concurrent: false },
    ({ by, casesOfTab, open }) => {
      let caller: GatewayCaller;

      beforeAll(() => {
        caller = open(by === "path" ? relay : byHost);
      });

      afterAll(() => caller?.close());

      test.each(casesOfTab)("$name", (httpCase) => caller.call(httpCase, "tab"));
    },
  );

  describe("that calls", { concurrent: false }, () => {
    test.each(httpContract)("$name", async ({ name }) => {
      expect(await tab.evaluate(`callByName(${JSON.stringify(name)}, location.origin, "node")`)).toBe("");
    });
  });
});
