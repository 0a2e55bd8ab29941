import { Code, Failure, Hop, StreamClient } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { heartbeatsUntilLost } from "../../../link/link-watch.js";
import { openRelay, type TestRelay, untilLinks } from "../../integration/relay-ports.js";
import {
  type BackgroundHabit,
  type FreezableChromium,
  type FreezableTab,
  launchFreezableChromium,
} from "../freezable-chromium.js";
import { openPages, type Pages } from "../pages.js";
import { openStallingProxy } from "../stalling-proxy.js";
import { openUpgradeProxy } from "../upgrade-proxy.js";

/** A tab that wakes has this long to learn the fate of its streams. */
const wakeTimeoutMs = 10_000;

/** The streams of a test whose relay has ended are over before the last test is. */
const graceMs = 2_000;

const closers: (() => Promise<void>)[] = [];
const browsers = new Map<BackgroundHabit, FreezableChromium>();

beforeAll(async () => {
  for (const sockets of ["kept", "ended"] as const) browsers.set(sockets, await launchFreezableChromium(sockets));
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

afterAll(async () => {
  for (const browser of browsers.values()) await browser.close();
});

async function openRelayWithPages(heartbeatIntervalMs = 15_000): Promise<{ relay: TestRelay; pages: Pages }> {
  const relay = await openRelay({ limits: { heartbeatIntervalMs, graceMs } });
  closers.push(() => relay.close());
  const pages = await openPages(relay);
  closers.push(() => pages.close());
  return { relay, pages };
}

/** In a page: listens and echoes, and notes what becomes of it. */
const listening = `
  import { StreamServer } from "browser-stream-server";
  globalThis.events = [];
  for (const name of ["freeze", "resume"]) document.addEventListener(name, () => events.push(name));
  await StreamServer(location.origin, (stream) => {
    globalThis.failure = stream.closed.catch(({ code, failure }) => ({ code, failure }));
    globalThis.suspended = new Promise((resolve) => stream.on("suspended", ({ hop }) => resolve(hop)));
    stream.pipe(stream);
  }).listen("tab").ready;
`;

/** In a page, before it has a link: listens again as soon as anything says that it is back. */
const listeningWhenBack = `
  import { StreamServer } from "browser-stream-server";
  globalThis.again = [];
  const listen = ({ type, persisted }) => {
    if (type === "pageshow" ? !persisted : type !== "resume" && document.visibilityState !== "visible") return;
    again.push(StreamServer(location.origin).listen(type).ready.then(() => type));
  };
  for (const event of ["resume", "visibilitychange"]) document.addEventListener(event, listen);
  addEventListener("pageshow", listen);
`;

/** A tab that listens, and a stream to it. */
async function openListeningTab(sockets: BackgroundHabit, origin: string, relay: TestRelay) {
  const tab = await browsers.get(sockets)!.openTab(origin);
  closers.push(() => tab.close());
  await tab.run(listening);
  const { stream, next } = await streamToTab(relay);
  closers.push(async () => {
    stream.destroy();
    await stream.closed.catch(() => {});
  });
  return { tab, stream, next };
}

async function streamToTab(relay: TestRelay) {
  const stream = StreamClient(relay.origin).connect("tab");
  const messages = stream[Symbol.asyncIterator]();
  const next = async () => (await messages.next()).value;
  stream.write("hello");
  expect(await next()).toBe("hello");
  return { stream, next };
}

/** Wakes a tab, whose stream is suspended in time. */
async function isSuspendedAfterWaking(tab: FreezableTab): Promise<void> {
  const startMs = performance.now();
  await tab.wake();
  expect(await tab.evaluate("suspended")).toBe(Hop.RELAY);
  expect(performance.now() - startMs).toBeLessThan(wakeTimeoutMs);
  expect(await tab.evaluate("events")).toEqual(["freeze", "resume"]);
}

const lost = { code: Code.Unavailable, failure: Failure.LEG_LOST };

describe("where Chromium keeps a frozen tab's WebSocket", () => {
  test("a tab that was frozen for longer than silence may last keeps its stream", async () => {
    const heartbeatIntervalMs = 200;
    const { relay, pages } = await openRelayWithPages(heartbeatIntervalMs);
    const { tab, stream, next } = await openListeningTab("kept", pages.origin, relay);
    await tab.freeze();
    stream.write("asleep");
    let isAnswered = false;
    const answer = next().finally(() => {
      isAnswered = true;
    });
    // The tab stays frozen for longer than a silent link is kept.
    await new Promise((resolve) => setTimeout(resolve, 3 * heartbeatsUntilLost * heartbeatIntervalMs));
    expect(isAnswered).toBe(false);
    expect(relay.proxy.counts).toMatchObject({ links: 1, streams: 1 });
    await tab.wake();
    expect(await answer).toBe("asleep");
    stream.write("awake");
    expect(await next()).toBe("awake");
    expect(relay.proxy.counts).toMatchObject({ links: 1, leases: 1, streams: 1 });
  });

  test("a tab whose relay died while it was frozen knows it when it wakes", async () => {
    const { relay, pages } = await openRelayWithPages();
    const { tab } = await openListeningTab("kept", pages.origin, relay);
    await tab.freeze();
    await relay.close();
    await pages.close();
    await isSuspendedAfterWaking(tab);
  });

  test("a tab whose network went while it was frozen knows it soon after it wakes", async () => {
    const { relay, pages } = await openRelayWithPages();
    const proxy = await openStallingProxy(pages.origin);
    closers.push(() => proxy.close());
    const { tab } = await openListeningTab("kept", proxy.origin, relay);
    await tab.freeze();
    proxy.stall();
    await isSuspendedAfterWaking(tab);
  });
});

describe("where Chromium ends a WebSocket that was frozen", () => {
  test("a tab knows it when it wakes, and its stream goes on", async () => {
    const { relay, pages } = await openRelayWithPages();
    const { tab, stream, next } = await openListeningTab("ended", pages.origin, relay);
    await tab.freeze();
    stream.write("asleep");
    await isSuspendedAfterWaking(tab);
    stream.write("awake");
    expect([await next(), await next()]).toEqual(["asleep", "awake"]);
    expect(relay.proxy.counts).toMatchObject({ leases: 1, streams: 1 });
  });

  test("a page with a link is kept by the back/forward cache, and listens again when it is back", async () => {
    const { relay, pages } = await openRelayWithPages();
    const tab = await browsers.get("ended")!.openTab(pages.origin);
    closers.push(() => tab.close());
    await tab.run(listeningWhenBack);
    await tab.run(listening);
    const { stream } = await streamToTab(relay);
    await tab.goto(`${pages.origin}/elsewhere`);
    await expect(stream.closed).rejects.toMatchObject(lost);
    await untilLinks(relay, 0);
    await tab.goBack();
    expect(await tab.evaluate("failure")).toEqual({ code: Code.Canceled, failure: Failure.LEG_LOST });
    expect(await tab.evaluate("Promise.all(again)")).toEqual(["resume", "visibilitychange", "pageshow"]);
    await tab.run(listening);
    await streamToTab(relay);
  });
});

test("a tab on a fetch link that was frozen for longer than silence may last knows it when it wakes, and its stream goes on", async () => {
  const heartbeatIntervalMs = 200;
  const { relay, pages } = await openRelayWithPages(heartbeatIntervalMs);
  const proxy = await openUpgradeProxy(pages.origin, "refuses");
  closers.push(() => proxy.close());
  const { tab, stream, next } = await openListeningTab("kept", proxy.origin, relay);
  await tab.freeze();
  // Only the page could answer the relay there.
  const peerIsAway = new Promise((resolve) => stream.on("suspended", ({ hop }) => resolve(hop)));
  expect(await peerIsAway).toBe(Hop.PEER);
  await untilLinks(relay, 0);
  await isSuspendedAfterWaking(tab);
  stream.write("awake");
  expect(await next()).toBe("awake");
});
