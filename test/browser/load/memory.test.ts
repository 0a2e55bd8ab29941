import { readdirSync, readFileSync } from "node:fs";
import { type Stream, StreamClient } from "browser-stream-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { EngineBrowser, EngineTab } from "../../engines/engine.js";
import { firefox } from "../../engines/firefox.js";
import { openRelay, type TestRelay } from "../../integration/relay-ports.js";
import { openUpgradeProxy, type UpgradeProxy } from "../upgrade-proxy.js";

const messageBytes = 1_000_000;
const warmUpMessages = 50;
const messages = 250;
/**
 * Half of what flows. Firefox's own memory comes and goes by some 50 MB; a call that holds what it received takes all.
 */
const maxHeldBytes = (messages * messageBytes) / 2;

let relay: TestRelay;
let proxy: UpgradeProxy;
let browser: EngineBrowser;
let tab: EngineTab;

beforeAll(async () => {
  relay = await openRelay();
  proxy = await openUpgradeProxy(relay.origin, "refuses");
  browser = await firefox.launch();
  tab = await browser.openTab(proxy.origin);
});

afterAll(async () => {
  await browser?.close();
  await proxy?.close();
  await relay?.close();
});

function readStatus(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    // The process has ended meanwhile.
    return "";
  }
}

function statusOf(pid: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readStatus(pid))?.[1] ?? 0);
}

/** Firefox runs a tab in one of these; its main process holds what a driver may ask for of the network. */
const isContentProcess = (pid: string) => /Web Co/.test(readStatus(pid));

/** The memory of the tabs of the Firefox that this process has started, without what they share with their files. */
function tabBytes(): number {
  const descends = (pid: number): boolean =>
    pid > 1 && (pid === process.pid || descends(statusOf(String(pid), "PPid")));
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const tabs = pids.filter((pid) => isContentProcess(pid) && descends(Number(pid)));
  return tabs.reduce((sum, pid) => sum + statusOf(pid, "RssAnon") * 1024, 0);
}

async function send(stream: Stream, count: number): Promise<void> {
  const writer = stream.writable.getWriter();
  for (let sent = 0; sent < count; sent++) await writer.write(new Uint8Array(messageBytes));
  writer.releaseLock();
}

test("a tab of Firefox over fetch holds nothing of what a stream has received", async () => {
  await tab.run(`
    import { StreamServer } from "browser-stream-server";
    globalThis.received = 0;
    const server = StreamServer(location.origin, (stream) => {
      globalThis.stream = stream.on("data", () => { received += 1; });
    }).listen("memory");
    await server.ready;
  `);
  const stream = StreamClient(relay.origin).connect("memory");
  const received = (count: number) =>
    expect.poll(() => tab.evaluate("received"), { interval: 50, timeout: 100_000 }).toBe(count);
  await send(stream, warmUpMessages);
  await received(warmUpMessages);
  const before = tabBytes();
  await send(stream, messages);
  await received(warmUpMessages + messages);
  const after = tabBytes();
  expect(await tab.evaluate("stream.transport")).toBe("fetch");
  expect(before).toBeGreaterThan(0);
  expect(after - before).toBeLessThan(maxHeldBytes);
  stream.destroy();
});
