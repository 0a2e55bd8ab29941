import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createFetch } from "browser-stream-server/http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  callCase,
  callOver,
  httpContract,
  isPlayable,
  nameOf,
  serveContract,
} from "../../contract/http/http-contract.js";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { failing, heldBytes } from "../../integration/gateway/gateway-fetch.js";
import { holdsNothing, openRelay, type TestRelay } from "../../integration/relay-ports.js";
import { readmeBlocks } from "../../readme.js";

const browserOf = launchedEngines();

describe.each(engines)("a tab of $name", { concurrent: true }, (engine) => {
  let relay: TestRelay;
  let tab: EngineTab;
  let server: Awaited<ReturnType<typeof serveContract>>;

  beforeAll(async () => {
    // A browser may end a tab before its goodbye is sent, and its names stay for so long.
    relay = await openRelay({ limits: { graceMs: 2_000 }, gateway: { by: "path" } });
    server = await serveContract(relay.origin, "node");
    tab = await browserOf(engine).openTab(relay.origin);
    await tab.run(`
      import { callByName, serveContract } from "browser-stream-server/http-contract";
      await serveContract(location.origin, "tab");
      Object.assign(globalThis, { callByName });
    `);
  });

  afterAll(async () => {
    await server?.end();
    await tab?.close();
    if (relay !== undefined) await holdsNothing(relay, "links");
    await relay?.close();
  });

  test("serves the README's notebook", async () => {
    const [serving = ""] = readmeBlocks("js").filter((block) => block.includes("browser-stream-server/http"));
    await tab.run(serving);
    const fetchNotebook = createFetch(relay.origin, "notebook");
    await fetchNotebook("/cells", { method: "POST", body: "2 + 2" });
    expect(await (await fetchNotebook("/cells")).json()).toEqual(["1 + 1", "2 + 2"]);
    const [curl = ""] = readmeBlocks("sh").filter((block) => block.startsWith("curl "));
    const [program = "", url = ""] = curl.trim().replace("http://localhost:8080", relay.origin).split(" ");
    const { stdout } = await promisify(execFile)(program, ["--silent", url]);
    expect(JSON.parse(stdout)).toEqual(["1 + 1", "2 + 2"]);
    await fetchNotebook.close();
  });

  describe("that serves", { concurrent: false }, () => {
    test.each(httpContract)("$name", (httpCase) => callOver(httpCase, relay.origin, "tab"));
  });

  describe("that serves through the gateway", { concurrent: false }, () => {
    test.each(httpContract.filter((httpCase) => isPlayable(httpCase, [])))("$name", (httpCase) =>
      callCase(httpCase, failing(fetch), `${relay.origin}/~/${nameOf(httpCase, "tab")}`, heldBytes),
    );
  });

  describe("that calls", { concurrent: false }, () => {
    test.each(httpContract)("$name", async ({ name }) => {
      expect(await tab.evaluate(`callByName(${JSON.stringify(name)}, location.origin, "node")`)).toBe("");
    });
  });
});
