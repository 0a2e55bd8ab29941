import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RelayProcess, residentBytes, startRelay } from "../../relay-process.js";
import { launchBrowser, openTab, type Tab } from "../browser.js";

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

const listening = `
import { StreamServer } from "browser-stream-server";
import { exchange, receiveFile, sendFile } from ${JSON.stringify(transferUrl)};
globalThis.exchanges = [];
await StreamServer(location.origin, (stream) => {
  const { fileBytes } = stream.metadata;
  if (fileBytes !== undefined) globalThis.exchanges.push(exchange(stream, Number(fileBytes)));
  else globalThis.stalled = stream;
}).listen("bulk").ready;
`;

const connecting = `
import { StreamClient } from "browser-stream-server";
import { exchange } from ${JSON.stringify(transferUrl)};
globalThis.connect = (metadata) => StreamClient(location.origin).connect("bulk", { metadata });
globalThis.exchangeWith = (fileBytes) => exchange(connect({ fileBytes: String(fileBytes) }), fileBytes);
`;

interface Hashes {
  sent: string;
  received: string;
}

/** Calls `onSample` with the relay's memory now and then until the returned function is called. */
function sampleMemory(onSample: (bytes: number) => void): () => void {
  const timer = setInterval(async () => onSample(await residentBytes(relay)), 50);
  return () => clearInterval(timer);
}

test("64 MiB go each way at once, whole, and the relay's memory hardly grows", async () => {
  await listener.run(listening);
  await client.run(connecting);
  // The first stream makes the relay compile what it runs; that is not what the test is about.
  await client.page.evaluate(`exchangeWith(${mebibyte})`);
  const before = await residentBytes(relay);
  let peak = before;
  const stopSampling = sampleMemory((bytes) => {
    peak = Math.max(peak, bytes);
  });
  const there = (await client.page.evaluate(`exchangeWith(${64 * mebibyte})`)) as Hashes;
  const here = (await listener.page.evaluate("exchanges[1]")) as Hashes;
  stopSampling();
  expect(there.received).toBe(here.sent);
  expect(here.received).toBe(there.sent);
  expect(there.sent).not.toBe(here.sent);
  expect(peak - before).toBeLessThan(32 * mebibyte);
});

test("a receiver that does not read stops the sender, and the relay holds no more than before", async () => {
  await client.page.evaluate(`(async () => {
    globalThis.sender = connect({});
    await sender.opened;
    globalThis.written = 0;
    const chunk = new Uint8Array(65536);
    const writer = sender.writable.getWriter();
    const more = () => writer.write(chunk).then(() => { written += chunk.byteLength; return more(); });
    more().catch(() => {});
  })()`);
  const written = () => client.page.evaluate("written") as Promise<number>;
  // A sender that has stopped says nothing of it, so it counts as stopped when it has not gone on for a while.
  const settled = async (): Promise<number> => {
    for (let last = -1; ; ) {
      const now = await written();
      if (now > 0 && now === last) return now;
      last = now;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  };
  const stoppedAt = await settled();
  const before = await residentBytes(relay);
  let peak = before;
  const stopSampling = sampleMemory((bytes) => {
    peak = Math.max(peak, bytes);
  });
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  stopSampling();
  expect(await written()).toBe(stoppedAt);
  // A window at the receiver, a high-water mark at the sender, and the channels between.
  expect(stoppedAt).toBeLessThan(4 * mebibyte);
  expect(peak - before).toBeLessThan(4 * mebibyte);
  await listener.page.evaluate("void stalled.resume()");
  await client.page.waitForFunction(`written > ${stoppedAt + 8 * mebibyte}`);
  await client.page.evaluate("void sender.destroy()");
});
