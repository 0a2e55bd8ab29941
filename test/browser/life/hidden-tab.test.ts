import { Hop, StreamServer } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { heartbeatsUntilLost } from "../../../link/link-watch.js";
import { openRelay, type TestRelay } from "../../integration/relay-ports.js";
import { type FreezableChromium, launchFreezableChromium } from "../freezable-chromium.js";
import { openPages, type Pages } from "../pages.js";
import { openStallingProxy } from "../stalling-proxy.js";
import { openUpgradeProxy, type UpgradeProxy } from "../upgrade-proxy.js";

const heartbeatIntervalMs = 1_000;
/**
 * Browsers throttle only a timer that a timer has set, from the fifth in a row on. A link's timers take this long to
 * get there.
 */
const rowMs = 15_000;
/** A stream whose network is gone for good is over before the next test looks. */
const graceMs = 2_000;
/** In a hidden tab on a busy machine, timers that are not throttled may be this late. */
const lateMs = 5_000;

let browser: FreezableChromium;
let relay: TestRelay;
let pages: Pages;
let withoutWebSockets: UpgradeProxy;
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  relay = await openRelay({ limits: { heartbeatIntervalMs, graceMs } });
  pages = await openPages(relay);
  withoutWebSockets = await openUpgradeProxy(pages.origin, "refuses");
  browser = await launchFreezableChromium("throttled");
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

afterAll(async () => {
  await browser?.close();
  await withoutWebSockets?.close();
  await pages?.close();
  await relay?.close();
});

const ways = [
  { way: "websocket", origin: () => pages.origin },
  { way: "fetch", origin: () => withoutWebSockets.origin },
] as const;

test.each(ways)(
  "a hidden tab whose timers run once a minute keeps its stream, and notices in time that its network is gone: $way",
  async ({ way, origin }) => {
    const proxy = await openStallingProxy(origin());
    closers.push(() => proxy.close());
    const server = StreamServer(relay.origin, (stream) => stream.pipe(stream)).listen("node");
    closers.push(() => server.end());
    await server.ready;
    const tab = await browser.openTab(proxy.origin);
    closers.push(() => tab.close());
    await tab.run(`
      import { StreamClient } from "browser-stream-server";
      globalThis.stream = StreamClient(location.origin).connect("node");
      const messages = stream[Symbol.asyncIterator]();
      globalThis.echo = async (message) => {
        stream.write(message);
        return (await messages.next()).value;
      };
      globalThis.ticks = 0;
      const tick = () => {
        ticks += 1;
        setTimeout(tick, 100);
      };
      tick();
    `);
    expect(await tab.evaluate(`echo("seen")`)).toBe("seen");
    expect(await tab.evaluate("stream.transport")).toBe(way);
    await tab.hide();
    const ticks = () => tab.evaluate("ticks");
    let sinceMs = performance.now();
    for (let last = -1; performance.now() - sinceMs < rowMs; await new Promise((resolve) => setTimeout(resolve, 100))) {
      const now = (await ticks()) as number;
      if (now !== last) sinceMs = performance.now();
      last = now;
    }
    expect(await tab.evaluate(`echo("hidden")`)).toBe("hidden");
    expect(relay.proxy.counts).toMatchObject({ links: 1, streams: 1 });
    proxy.stall();
    const startMs = performance.now();
    const hop = await tab.evaluate("new Promise((resolve) => stream.on('suspended', ({ hop }) => resolve(hop)))");
    expect(performance.now() - startMs).toBeLessThan(heartbeatsUntilLost * heartbeatIntervalMs + lateMs);
    expect(hop).toBe(Hop.RELAY);
  },
);
