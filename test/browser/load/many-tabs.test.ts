import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openRelay, type TestRelay, untilLinks } from "../../integration/relay-ports.js";
import { launchBrowser, openTab } from "../browser.js";

/** The number of tabs, which is more than a browser has connections to an origin over HTTP/1.1. */
const tabs = 8;

let browser: Browser;
let relay: TestRelay;

beforeAll(async () => {
  [browser, relay] = await Promise.all([launchBrowser(), openRelay()]);
});

afterAll(async () => {
  await browser?.close();
  await relay?.close();
});

test("more tabs of one user than it has connections over HTTP/1.1 have a WebSocket each, and each other's streams", async () => {
  const context = await browser.newContext();
  const pages = await Promise.all(
    Array.from({ length: tabs }, async () => (await openTab(context, relay.origin)).page),
  );
  // The tabs listen one by one, because a WebSocket has only a certain time to open.
  for (const [at, page] of pages.entries()) {
    await page.evaluate(`import("browser-stream-server").then(async ({ StreamServer, StreamClient }) => {
      globalThis.StreamClient = StreamClient;
      await StreamServer(location.origin, (stream) => stream.pipe(stream)).listen("tab ${at}").ready;
    })`);
  }
  const echoes = pages.map((page, at) =>
    page.evaluate(`(async () => {
      const stream = StreamClient(location.origin).connect("tab ${(at + 1) % tabs}");
      stream.end("from ${at}");
      const messages = [];
      for await (const message of stream) messages.push(message);
      return [stream.transport, ...messages];
    })()`),
  );
  expect(await Promise.all(echoes)).toEqual(pages.map((_, at) => ["websocket", `from ${at}`]));
  expect(relay.proxy.counts).toMatchObject({ links: tabs, leases: tabs });
  await context.close();
  await untilLinks(relay, 0);
});
