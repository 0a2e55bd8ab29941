import { Failure, StreamServer } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { rejection } from "../../fakes/outcome.js";
import { openRelay, type TestRelay, untilLinks } from "../../integration/relay-ports.js";
import { openPages, type Pages } from "../pages.js";

const browserOf = launchedEngines();
let tab: EngineTab | undefined;
let relay: TestRelay;
let pages: Pages;

beforeAll(async () => {
  relay = await openRelay();
  pages = await openPages(relay);
});

afterEach(async () => {
  await tab?.close();
  await untilLinks(relay, 0);
});

afterAll(async () => {
  await pages?.close();
  await relay?.close();
});

const listening = `
  import { StreamServer } from "browser-stream-server";
  globalThis.server = StreamServer(location.origin, () => {});
  await server.listen("tab").ready;
`;

/** The owner keys in the storage of the tab, of which a tab that is duplicated gets a copy. */
const keptKeys = `Object.keys(sessionStorage).filter((item) => item.includes("owner key")).map((item) => sessionStorage[item])`;

test.each(engines)(
  "a page in $name that is loaded again owns its name, and keeps the key to itself",
  async (engine) => {
    tab = await browserOf(engine).openTab(pages.origin);
    await tab.goto(`${pages.origin}/first`);
    await tab.run(listening);
    expect(await tab.evaluate(keptKeys)).toEqual([]);
    await tab.goto(`${pages.origin}/second`);
    const keys = (await tab.evaluate(keptKeys)) as string[];
    expect(keys).toHaveLength(1);
    // A lease that outlived the page, as when its last words are lost.
    const left = StreamServer(relay.origin, { ownerKey: keys[0] }, () => {}).on("error", () => {});
    await left.listen("tab").ready;
    await tab.run(listening);
    expect(await tab.evaluate("server.state")).toBe("listening");
    expect(await rejection(left.closed)).toMatchObject({ failure: Failure.FENCED });
    expect(await tab.evaluate(keptKeys)).toEqual([]);
    await tab.evaluate("server.end()");
    await tab.goto(`${pages.origin}/third`);
    expect(await tab.evaluate(keptKeys)).toEqual([]);
  },
);
