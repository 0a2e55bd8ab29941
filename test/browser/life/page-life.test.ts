import { once } from "node:events";
import { Code, Failure, type Stream, StreamClient, type StreamError } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Engine, EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { openRelay, type TestRelay, untilLinks } from "../../integration/relay-ports.js";
import { openPages, type Pages } from "../pages.js";
import { openUpgradeProxy, type UpgradeProxy } from "../upgrade-proxy.js";

/** A page that was left frees its name, and another tab claims it, within this time. */
const freedTimeoutMs = 2_000;
/** The name of a page that said no goodbye is not free before this time is over, so the test has failed by then. */
const goodbyeTimeoutMs = 10_000;
const firstPath = "/first";

const browserOf = launchedEngines();
const tabs: EngineTab[] = [];
/** A name for each test, and for each time that it is tried. */
let name = "";
let names = 0;
const streams: Stream[] = [];
let relay: TestRelay;
let pages: Pages;
let proxy: UpgradeProxy;

beforeAll(async () => {
  relay = await openRelay();
  pages = await openPages(relay);
  proxy = await openUpgradeProxy(pages.origin, "refuses");
});

beforeEach(() => {
  names += 1;
  name = `tab ${names}`;
});

afterEach(async () => {
  await Promise.all(tabs.splice(0).map((tab) => tab.close()));
  for (const stream of streams.splice(0)) stream.destroy();
  await untilLinks(relay, 0);
});

afterAll(async () => {
  await proxy?.close();
  await pages?.close();
  await relay?.close();
});

/** The error that the peer of a tab's stream gets. */
const lost = { code: Code.Unavailable, failure: Failure.LEG_LOST };

/** The ways to the relay. `own` is the error that a tab gets for its own stream if it comes back as it was. */
const ways = [
  {
    way: "websocket",
    origin: () => pages.origin,
    own: { failure: Failure.LEG_LOST, code: Code.Canceled },
  },
  // WebKit cuts a fetch before the page hears that it is left.
  { way: "fetch", origin: () => proxy.origin, own: { failure: Failure.LEG_LOST } },
] as const;

async function openTab(engine: Engine, origin: string): Promise<EngineTab> {
  const tab = await browserOf(engine).openTab(origin);
  tabs.push(tab);
  await tab.goto(origin + firstPath);
  return tab;
}

/** In a page: defines `listen`, which makes a server that echoes. */
const listening = () => `
  import { StreamServer } from "browser-stream-server";
  globalThis.listen = async () => {
    globalThis.server = StreamServer(location.origin, (stream) => {
      globalThis.accepted = stream;
      stream.pipe(stream);
    }).listen("${name}");
    await server.ready;
    return server.transport;
  };
`;

/** A stream from this process to the tab that listens, with a message echoed. */
async function streamToTab() {
  const stream = StreamClient(relay.origin).connect(name);
  streams.push(stream);
  stream.write("echo");
  expect((await stream[Symbol.asyncIterator]().next()).value).toBe("echo");
  return stream;
}

/** Resolves with the error that a stream fails with. */
async function failureOf(stream: { closed: Promise<void> }): Promise<StreamError> {
  return stream.closed.then(
    () => Promise.reject(new Error("the stream was closed")),
    (error: StreamError) => error,
  );
}

/**
 * Leaves the page of a tab that listens, and expects its name to be free for `next` in time. Resolves with the error
 * that the peer of its stream gets.
 */
async function leave(leaving: () => Promise<void>, next?: EngineTab): Promise<StreamError> {
  const failed = failureOf(await streamToTab());
  const destroyed = once(relay.proxy, "server.destroyed", { signal: AbortSignal.timeout(goodbyeTimeoutMs) });
  const startMs = performance.now();
  const left = leaving();
  await destroyed;
  expect(await failureOf(StreamClient(relay.origin).connect(name))).toMatchObject({ failure: Failure.NO_SUCH_NAME });
  await next?.evaluate("listen()");
  expect(performance.now() - startMs).toBeLessThan(freedTimeoutMs);
  await left;
  return failed;
}

/** With its last tab Firefox ends the process of a site, now and then before the goodbye of the page is out. */
async function keepProcess({ name }: Engine, tab: EngineTab): Promise<void> {
  if (name === "Firefox") await tab.evaluate(`open("/other") !== null`);
}

/** In a page: resolves with the errors of its own server and stream. */
const failuresInPage = `Promise.all([server, accepted].map(({ closed }) =>
  closed.catch(({ code, failure }) => ({ code, failure }))))`;

/**
 * When a tab is closed, Firefox and WebKit may end the process of its page before the page hears of it, and more often
 * on a machine that is busy. The name is then free when the grace period is over. No other way to notice it is known.
 */
function retriesOf({ name }: Engine): number {
  return name === "Chromium" ? 0 : 3;
}

describe.each(engines)("$name", (engine) => {
  describe.each(ways)("over $way", { retry: retriesOf(engine) }, ({ way, origin, own }) => {
    test("a tab that is closed frees its name at once, for another tab", async () => {
      const [tab, next] = await Promise.all([openTab(engine, origin()), openTab(engine, origin())]);
      await Promise.all([tab.run(listening()), next.run(listening())]);
      expect(await tab.evaluate("listen()")).toBe(way);
      await keepProcess(engine, tab);
      expect(await leave(() => tab.close(), next)).toMatchObject(lost);
      await streamToTab();
    });

    test("a page that is left frees its name at once, and listens again when it is back", async () => {
      const tab = await openTab(engine, origin());
      await tab.run(listening());
      expect(await tab.evaluate("listen()")).toBe(way);
      expect(await leave(() => tab.goto(`${origin()}/second`))).toMatchObject(lost);
      await tab.goBack();
      expect(await tab.evaluate("location.pathname")).toBe(firstPath);
      const isKept = await tab.evaluate(`"listen" in globalThis`);
      // No engine must; of Chromium, see frozen-tab.test.ts.
      if (engine.name === "WebKit") expect(isKept).toBe(true);
      if (isKept) {
        expect(await tab.evaluate(failuresInPage)).toMatchObject([own, own]);
      } else {
        await tab.run(listening());
      }
      expect(await tab.evaluate("listen()")).toBe(way);
      await streamToTab();
    });
  });
});
