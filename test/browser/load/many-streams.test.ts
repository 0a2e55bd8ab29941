import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { launchBrowser, openTab, type Tab } from "../browser.js";

const streams = 50;
const bytesPerStream = 512 * 1024;

let browser: Browser;
let relay: RelayProcess;
let client: Tab;

beforeAll(async () => {
  [browser, relay] = await Promise.all([launchBrowser(), startRelay()]);
  const listener = await openTab(await browser.newContext(), relay.origin);
  client = await openTab(await browser.newContext(), relay.origin);
  await listener.run(`
    import { StreamServer } from "browser-stream-server";
    await StreamServer(location.origin, (stream) => {
      const chunk = new Uint8Array(32768);
      const writer = stream.writable.getWriter();
      (async () => {
        for (let sent = 0; sent < ${bytesPerStream} || stream.metadata.endless; sent += chunk.byteLength) {
          await writer.write(chunk);
        }
        await writer.close();
      })().catch(() => {});
    }).listen("many").ready;
  `);
  await client.run(`
    import { StreamClient } from "browser-stream-server";
    const streamClient = StreamClient(location.origin);
    globalThis.readAll = async () => {
      const startedAt = performance.now();
      const totals = await Promise.all(Array.from({ length: ${streams - 1} }, async () => {
        const stream = streamClient.connect("many");
        let total = 0;
        for await (const part of stream) total += part.byteLength;
        stream.end();
        await stream.closed;
        return total;
      }));
      return { totals, tookMs: performance.now() - startedAt };
    };
    globalThis.connectEndless = async () => {
      globalThis.endless = streamClient.connect("many", { metadata: { endless: "yes" } });
      await endless.opened;
    };
  `);
});

afterAll(async () => {
  await browser?.close();
  await relay?.stop();
});

interface Round {
  totals: number[];
  tookMs: number;
}

test("one stream of fifty that is not read does not slow the others", async () => {
  const readAll = () => client.page.evaluate("readAll()") as Promise<Round>;
  await readAll();
  const free = await readAll();
  await client.page.evaluate("connectEndless()");
  const beside = await readAll();
  expect(beside.totals).toEqual(Array(streams - 1).fill(bytesPerStream));
  // If the stalled stream were in the way, nothing would arrive at all, so twice the time is a safe bound.
  expect(beside.tookMs).toBeLessThan(2 * free.tookMs);
  await client.page.evaluate("void endless.destroy()");
});
