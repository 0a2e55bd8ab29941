import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serviceCases } from "../../contract/service/service-cases.js";
import { callOverStream, serveServices } from "../../contract/service/service-contract.js";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { holdsNothing, openRelay, type TestRelay } from "../../integration/relay-ports.js";

const browserOf = launchedEngines();

describe.each(engines)("a tab of $name", { concurrent: true }, (engine) => {
  let relay: TestRelay;
  let tab: EngineTab;
  let server: Awaited<ReturnType<typeof serveServices>>;

  beforeAll(async () => {
    // A browser may end a tab before its goodbye is sent, and its names stay for so long.
    relay = await openRelay({ limits: { graceMs: 2_000 } });
    server = await serveServices(relay.origin, "node");
    tab = await browserOf(engine).openTab(relay.origin);
    await tab.run(`
      import { callServiceByName, serveServices } from "browser-stream-server/service-contract";
      await serveServices(location.origin, "tab");
      Object.assign(globalThis, { callServiceByName });
    `);
  });

  afterAll(async () => {
    await server?.end();
    await tab?.close();
    if (relay !== undefined) await holdsNothing(relay, "links");
    await relay?.close();
  });

  describe("that serves", { concurrent: false }, () => {
    test.each(serviceCases)("$name", (serviceCase) => callOverStream(serviceCase, relay.origin, "tab"));
  });

  describe("that calls", { concurrent: false }, () => {
    test.each(serviceCases)("$name", async ({ name }) => {
      expect(await tab.evaluate(`callServiceByName(${JSON.stringify(name)}, location.origin, "node")`)).toBe("");
    });
  });
});
