import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { type RelayProcess, startRelay } from "../../relay-process.js";

const folder = fileURLToPath(new URL("../../../examples/pages", import.meta.url));

const browserOf = launchedEngines();
let relay: RelayProcess;
/** A relay that lets in the pages of the first one, and none of its own. */
let other: RelayProcess;

beforeAll(async () => {
  relay = await startRelay("--page", folder);
  other = await startRelay("--origin", relay.origin);
});

afterAll(async () => {
  await Promise.all([relay?.stop(), other?.stop()]);
});

/** Resolves with what an expression gives in the page, once that is neither null nor false. */
function until(tab: EngineTab, expression: string): Promise<unknown> {
  return tab.evaluate(`new Promise((resolve) => {
    const check = () => {
      const value = ${expression};
      if (value === null || value === false) return;
      observer.disconnect();
      resolve(value);
    };
    const observer = new MutationObserver(check);
    observer.observe(document, { subtree: true, childList: true });
    check();
  })`);
}

/** Imports the client of a relay from a page of the first one. */
const imported = (origin: string) => `import(${JSON.stringify(`${origin}/browser-server/client.js`)})`;

describe.each(engines)("{prefix}/client.js in $name", (engine) => {
  test("lets two pages without a build talk", async () => {
    const listener = await browserOf(engine).openTab(relay.origin);
    const client = await browserOf(engine).openTab(relay.origin);
    await listener.goto(`${relay.origin}/echo.html`);
    const link = await until(listener, `document.querySelector("a") && document.querySelector("a").href`);
    await client.goto(String(link));
    const hasLine = (text: string) =>
      `[...document.querySelectorAll("li")].some((line) => line.textContent === "${text}")`;
    await until(client, hasLine("connected"));
    await client.evaluate(`(() => {
      document.querySelector("input").value = "no build";
      document.querySelector("button").click();
    })()`);
    expect(await until(client, hasLine("back: no build"))).toBe(true);
    await Promise.all([listener.close(), client.close()]);
  });

  test("is imported by a page of an origin that is allowed, and by no other", async () => {
    const tab = await browserOf(engine).openTab(relay.origin);
    const echoed = await tab.evaluate(`${imported(other.origin)}.then(async ({ StreamClient, StreamServer }) => {
      const server = StreamServer(${JSON.stringify(other.origin)}, (stream) => stream.pipe(stream)).listen("${engine.name}");
      await server.ready;
      const stream = StreamClient(${JSON.stringify(other.origin)}).connect("${engine.name}");
      stream.end("from elsewhere");
      const messages = [];
      for await (const message of stream) messages.push(message);
      await server.end();
      return messages;
    })`);
    expect(echoed).toEqual(["from elsewhere"]);
    await tab.close();
    const stranger = await browserOf(engine).openTab(other.origin);
    await expect(stranger.evaluate(imported(relay.origin))).rejects.toMatchObject({ name: "TypeError" });
    await stranger.close();
  });
});
