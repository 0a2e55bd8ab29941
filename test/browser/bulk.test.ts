import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RelayProcess, residentBytes, startRelay } from "../relay-process.js";
import { launchBrowser, openTab, type Tab } from "./browser.js";

const mebibyte = 1024 * 1024;

let browser: Browser;
let relay: RelayProcess;
let listener: Tab;
let client: Tab;

beforeAll(async () => {
  [browser, relay] = await Promise.all([launchBrowser(), startRelay()]);
  listener = await openTab(await browser.newContext(), relay.origin);
  client = await openTab(await browser.newContext(), relay.origin);
});

afterAll(async () => {
  await browser?.close();
  await relay?.stop();
});

/** In a page: a file that is different each time, sent and received as a stream, and the hashes of both. */
const transfer = `
const chunkBytes = 256 * 1024;
const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

export async function sendFile(stream, fileBytes) {
  const file = new Uint8Array(fileBytes);
  for (let at = 0; at < fileBytes; at += 65536) crypto.getRandomValues(file.subarray(at, at + 65536));
  const writer = stream.writable.getWriter();
  for (let at = 0; at < fileBytes; at += chunkBytes) await writer.write(file.subarray(at, at + chunkBytes));
  await writer.close();
  return hex(await crypto.subtle.digest("SHA-256", file));
}

export async function receiveFile(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return hex(await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer()));
}

export async function exchange(stream, fileBytes) {
  const [sent, received] = await Promise.all([sendFile(stream, fileBytes), receiveFile(stream)]);
  return { sent, received };
}
`;
const transferUrl = `data:text/javascript,${encodeURIComponent(transfer)}`;

test("64 MiB go each way at once, whole, and the relay's memory hardly grows", async () => {
  const fileBytes = Number(process.env.FILE_MIB ?? 64) * mebibyte;
  await listener.run(`
    import { StreamServer } from "browser-stream-server";
    import { exchange } from ${JSON.stringify(transferUrl)};
    const server = StreamServer(location.origin, (stream) => {
      exchange(stream, ${fileBytes}).then((hashes) => { globalThis.hashes = hashes; console.log("exchanged"); });
    }).listen("bulk");
    await server.ready;
  `);
  await client.run(`
    import { StreamClient } from "browser-stream-server";
    import { exchange } from ${JSON.stringify(transferUrl)};
    globalThis.start = async () => {
      const stream = StreamClient(location.origin).connect("bulk");
      return exchange(stream, ${fileBytes});
    };
  `);
  const before = await residentBytes(relay);
  let peak = before;
  const sampling = setInterval(async () => {
    peak = Math.max(peak, await residentBytes(relay));
  }, 50);
  const startedAt = performance.now();
  const there = (await client.page.evaluate("start()")) as { sent: string; received: string };
  const seconds = (performance.now() - startedAt) / 1000;
  clearInterval(sampling);
  await listener.prints("exchanged");
  const here = (await listener.page.evaluate("hashes")) as { sent: string; received: string };
  console.log(
    `${((2 * fileBytes) / mebibyte / seconds).toFixed(1)} MiB/s, relay ${((peak - before) / mebibyte).toFixed(1)} MiB more`,
  );
  expect(there.received).toBe(here.sent);
  expect(here.received).toBe(there.sent);
  expect(peak - before).toBeLessThan(32 * mebibyte);
});
