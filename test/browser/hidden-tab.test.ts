import { Code, Failure, StreamServer } from "browser-stream-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { heartbeatsUntilLost } from "../../link/link-watch.js";
import { openRelay, type TestRelay } from "../integration/relay-ports.js";
import { type FreezableChromium, launchFreezableChromium } from "./freezable-chromium.js";
import { openPages, type Pages } from "./pages.js";
import { openStallingProxy, type StallingProxy } from "./stalling-proxy.js";

const heartbeatIntervalMs = 1_000;
/** Only timers in a row are throttled, from the fifth on: so long does a link's take for that. */
const rowMs = 15_000;
/** What timers that are not throttled may be late by in a hidden tab, and a busy machine. */
const lateMs = 5_000;

let browser: FreezableChromium;
let relay: TestRelay;
let pages: Pages;
let proxy: StallingProxy;

beforeAll(async () => {
  relay = await openRelay({ limits: { heartbeatIntervalMs } });
  pages = await openPages(relay);
  proxy = await openStallingProxy(pages.origin);
  browser = await launchFreezableChromium("throttled");
});

afterAll(async () => {
  await browser?.close();
  await proxy?.close();
  await pages?.close();
  await relay?.close();
});

test("a hidden tab whose timers run once a minute notices in time that its network is gone", async () => {
  const server = StreamServer(relay.origin, () => {}).listen("node");
  await server.ready;
  const tab = await browser.openTab(proxy.origin);
  await tab.run(`
    import { StreamClient } from "browser-stream-server";
    globalThis.stream = StreamClient(location.origin).connect("node");
    await stream.opened;
    globalThis.ticks = 0;
    const tick = () => {
      ticks += 1;
      setTimeout(tick, 100);
    };
    tick();
  `);
  await tab.hide();
  const ticks = () => tab.evaluate("ticks");
  let sinceMs = performance.now();
  for (let last = -1; performance.now() - sinceMs < rowMs; await new Promise((resolve) => setTimeout(resolve, 100))) {
    const now = (await ticks()) as number;
    if (now !== last) sinceMs = performance.now();
    last = now;
  }
  proxy.stall();
  const startMs = performance.now();
  const failure = await tab.evaluate("stream.closed.catch(({ code, failure }) => ({ code, failure }))");
  expect(performance.now() - startMs).toBeLessThan(heartbeatsUntilLost * heartbeatIntervalMs + lateMs);
  expect(failure).toEqual({ code: Code.Unavailable, failure: Failure.LEG_LOST });
  await tab.close();
  await server.end();
});
