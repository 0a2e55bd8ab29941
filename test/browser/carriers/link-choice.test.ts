import { StreamServer } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { openRelay, type TestRelay, untilLinks } from "../../integration/relay-ports.js";
import { startNginx } from "../../proxies/nginx.js";
import { openPages, type Pages } from "../pages.js";
import { openUpgradeProxy, type UpgradeObstacle, type UpgradeProxy } from "../upgrade-proxy.js";

/** A fetch link takes the place of a WebSocket that cannot be had within this time. */
const choiceTimeoutMs = 3_000;

const pollMs = 100;
const maxPolls = 150;

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let polls = 0; !(await holds()); polls += 1) {
    if (polls === maxPolls) throw new Error("it did not come about");
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

const browserOf = launchedEngines();
const closers: (() => Promise<void>)[] = [];
let relay: TestRelay;
let pages: Pages;
let server: { end(): Promise<void> };

beforeAll(async () => {
  relay = await openRelay();
  pages = await openPages(relay);
  const echo = StreamServer(relay.origin, (stream) => stream.pipe(stream)).listen("echo");
  server = echo;
  await echo.ready;
});

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  await untilLinks(relay, 0);
});

afterAll(async () => {
  await server?.end();
  await pages?.close();
  await relay?.close();
});

/** In a page: opens a stream, has a message echoed, and ends it. */
const client = `
  import { StreamClient } from "browser-stream-server";
  const client = StreamClient(location.origin);
  globalThis.echo = async () => {
    const startMs = performance.now();
    const stream = client.connect("echo");
    await stream.opened;
    const openedMs = performance.now() - startMs;
    stream.end("there and back");
    const echoed = [];
    for await (const message of stream) echoed.push(message);
    await stream.closed;
    return { echoed, openedMs, transport: stream.transport };
  };
  globalThis.hold = async () => {
    globalThis.held = client.connect("echo");
    await held.opened;
  };
`;

interface Echo {
  echoed: string[];
  openedMs: number;
  transport: string;
}

async function echoIn(tab: EngineTab): Promise<Echo> {
  return (await tab.evaluate("echo()")) as Echo;
}

const echoed = ["there and back"];

describe.each(engines)("$name", (engine) => {
  let tab: EngineTab;

  beforeAll(async () => {
    tab = await browserOf(engine).openTab(pages.origin);
  });

  afterAll(() => tab?.close());

  /** Goes to a page that is left after its test. */
  async function visit(origin: string): Promise<EngineTab> {
    closers.unshift(() => tab.goto(pages.origin));
    await tab.goto(origin);
    return tab;
  }

  test("a base URL takes the WebSocket, one for a tab", async () => {
    const another = await browserOf(engine).openTab(pages.origin);
    closers.push(() => another.close());
    for (const tab of [await visit(pages.origin), another]) {
      await tab.run(client);
      expect(await echoIn(tab)).toMatchObject({ echoed, transport: "websocket" });
      expect(await echoIn(tab)).toMatchObject({ echoed, transport: "websocket" });
    }
    expect(relay.proxy.counts.links).toBe(2);
  });

  async function behind(obstacle: UpgradeObstacle): Promise<UpgradeProxy> {
    const proxy = await openUpgradeProxy(pages.origin, obstacle);
    closers.push(() => proxy.close());
    await visit(proxy.origin);
    await tab.run(client);
    return proxy;
  }

  test.each<UpgradeObstacle>(["refuses", "strips"])(
    "where a proxy %s the WebSocket, fetch takes its place in time, and a second refusal is remembered",
    async (obstacle) => {
      const proxy = await behind(obstacle);
      const first = await echoIn(tab);
      expect(first).toMatchObject({ echoed, transport: "fetch" });
      expect(first.openedMs).toBeLessThan(choiceTimeoutMs);
      await tab.evaluate("hold()");
      await until(async () => (await tab.evaluate("sessionStorage.length")) === 1);
      expect(proxy.upgrades).toBe(2);

      const back = "new Promise((resolve) => held.on('resumed', () => resolve(held.transport)))";
      await tab.evaluate(`void (globalThis.back = ${back})`);
      proxy.cut();
      expect(await tab.evaluate("back")).toBe("fetch");
      expect(await echoIn(tab)).toMatchObject({ echoed, transport: "fetch" });

      await tab.goto(proxy.origin);
      await tab.run(client);
      expect(await echoIn(tab)).toMatchObject({ echoed, transport: "fetch" });
      expect(proxy.upgrades).toBe(2);
    },
  );

  test("where a proxy swallows the WebSocket, fetch takes its place in time, and nothing is remembered", async () => {
    const proxy = await behind("swallows");
    for (const upgrades of [1, 2]) {
      const opened = await echoIn(tab);
      expect(opened).toMatchObject({ echoed, transport: "fetch" });
      expect(opened.openedMs).toBeLessThan(choiceTimeoutMs);
      expect(proxy.upgrades).toBe(upgrades);
      await tab.goto(proxy.origin);
      await tab.run(client);
    }
  });

  test("where a proxy delays the first of the WebSockets, new streams move to it, and the next page has one at once", async () => {
    const proxy = await behind("delays the first of");
    await tab.evaluate("hold()");
    expect(await tab.evaluate("held.transport")).toBe("fetch");
    await until(async () => (await echoIn(tab)).transport === "websocket");
    expect(await tab.evaluate("held.transport")).toBe("fetch");
    expect(proxy.upgrades).toBe(1);
    await tab.goto(proxy.origin);
    await tab.run(client);
    expect(await echoIn(tab)).toMatchObject({ echoed, transport: "websocket" });
  });

  test("where a proxy cuts the first of the WebSockets, the second one is taken", async () => {
    const proxy = await behind("cuts the first of");
    expect(await echoIn(tab)).toMatchObject({ echoed, transport: "websocket" });
    expect(proxy.upgrades).toBe(2);
  });

  test("where nginx refuses the WebSocket, fetch takes its place in time", async () => {
    const nginx = await startNginx({ relayOrigin: pages.origin, variant: "refuses-websockets", tls: false });
    closers.push(() => nginx.end());
    await visit(nginx.origin);
    await tab.run(client);
    const first = await echoIn(tab);
    expect(first).toMatchObject({ echoed, transport: "fetch" });
    expect(first.openedMs).toBeLessThan(choiceTimeoutMs);
  });
});
