import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Failure } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Engine, EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { openRelay, type TestRelay, untilLinks } from "../../integration/relay-ports.js";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { attachmentPath, noContentPath, openPages, type Pages } from "../pages.js";
import { openUpgradeProxy, type UpgradeProxy } from "../upgrade-proxy.js";

const mebibyte = 1024 * 1024;
/** In a page: cuts that are nobody's fault. Each ends the connections of the page in some engine. */
const cuts = ["window.stop()", `location = "${noContentPath}"`, "window.stop()", `location = "${attachmentPath}"`];

const browserOf = launchedEngines();
const tabs: EngineTab[] = [];
let relay: TestRelay;
let pages: Pages;
let fetchOnly: UpgradeProxy;

beforeAll(async () => {
  relay = await openRelay();
  pages = await openPages(relay);
  fetchOnly = await openUpgradeProxy(pages.origin, "refuses");
});

afterEach(async () => {
  await Promise.all(tabs.splice(0).map((tab) => tab.close()));
});

afterAll(async () => {
  await untilLinks(relay, 0);
  await fetchOnly?.close();
  await pages?.close();
  await relay?.close();
});

async function openTab(engine: Engine, origin: string): Promise<EngineTab> {
  const tab = await browserOf(engine).openTab(origin);
  tabs.push(tab);
  return tab;
}

/** In a page: everything that an application hears of a connection, and a hash of bytes. */
const hearing = `
  globalThis.heard = [];
  globalThis.hear = (what) => {
    for (const event of ["suspended", "resumed", "close"]) what.on(event, () => heard.push(event));
    what.on("error", ({ message }) => heard.push(message));
  };
  globalThis.hashOf = async (parts) => {
    // Not by a Blob, which WebKit stops reading when the page stops loading.
    const whole = new Uint8Array(parts.reduce((bytes, part) => bytes + part.byteLength, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.byteLength;
    }
    const hash = await crypto.subtle.digest("SHA-256", whole);
    return Array.from(new Uint8Array(hash)).join();
  };
`;

/** In a page: a server of a name that hashes what it gets, and says how much it has. */
const listening = (name: string) => `
  import { StreamServer } from "browser-stream-server";
  ${hearing}
  globalThis.receivedBytes = 0;
  const server = StreamServer(location.origin, async (stream) => {
    hear(stream);
    const parts = [];
    for await (const part of stream) {
      parts.push(part);
      receivedBytes += part.byteLength;
    }
    stream.end(await hashOf(parts));
  }).listen("${name}");
  hear(server);
  await server.ready;
`;

/** In a page: sends a file to a name, and resolves with its hash and the one that the other side got. */
const sending = (name: string) => `
  import { StreamClient } from "browser-stream-server";
  ${hearing}
  globalThis.transfer = async (fileBytes) => {
    const file = new Uint8Array(fileBytes);
    for (let at = 0; at < fileBytes; at += 65536) crypto.getRandomValues(file.subarray(at, at + 65536));
    const stream = StreamClient(location.origin).connect("${name}");
    hear(stream);
    const writer = stream.writable.getWriter();
    for (let at = 0; at < fileBytes; at += 65536) {
      globalThis.kind = stream.transport;
      await writer.write(file.slice(at, at + 65536));
    }
    writer.close().catch(() => {});
    for await (const hash of stream) return { sent: await hashOf([file]), received: hash };
  };
`;

interface Transfer {
  sent: string;
  received: string;
}

/** Resolves when the listening tab has that much. */
async function untilReceived(listener: EngineTab, bytes: number): Promise<void> {
  await listener.evaluate(`new Promise((resolve) => {
    const look = () => (receivedBytes >= ${bytes} ? resolve() : setTimeout(look, 1));
    look();
  })`);
}

/** The events of a tab, and no others than those of a connection that comes and goes. */
async function interruptionsOf(tab: EngineTab): Promise<number> {
  const heard = (await tab.evaluate("heard")) as string[];
  expect(heard.filter((event) => !["suspended", "resumed", "close"].includes(event))).toEqual([]);
  return heard.filter((event) => event === "suspended").length;
}

describe.each(engines)("in $name, a transfer outlives", (engine) => {
  test("its relay, which is killed in the middle and started again with the same key", async () => {
    const fileBytes = 16 * mebibyte;
    const folder = await mkdtemp(join(tmpdir(), "outliving-"));
    const keyFile = join(folder, "keys");
    writeFileSync(keyFile, `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600 });
    let process: RelayProcess | undefined;
    try {
      process = await startRelay("--key-file", keyFile);
      const { port, origin } = new URL(process.origin);
      const [listener, sender] = await Promise.all([openTab(engine, origin), openTab(engine, origin)]);
      await listener.run(listening("outliving"));
      await sender.run(sending("outliving"));
      const transferred = sender.evaluate(`transfer(${fileBytes})`) as Promise<Transfer>;
      await untilReceived(listener, fileBytes / 4);
      process.child.kill("SIGKILL");
      process = await startRelay("--key-file", keyFile, "--port", port);
      const { sent, received } = await transferred;
      expect(received).toBe(sent);
      expect(await interruptionsOf(listener)).toBeGreaterThan(0);
      expect(await interruptionsOf(sender)).toBeGreaterThan(0);
    } finally {
      await Promise.all(tabs.splice(0).map((tab) => tab.close()));
      await process?.stop();
      await rm(folder, { recursive: true });
    }
  }, 120_000);

  test("a navigation that does not leave the page, and a stop of its loading, over both links", async () => {
    const fileBytes = 8 * mebibyte;
    for (const [origin, kind] of [
      [pages.origin, "websocket"],
      [fetchOnly.origin, "fetch"],
    ] as const) {
      const [listener, sender] = await Promise.all([openTab(engine, origin), openTab(engine, origin)]);
      const name = `outliving in ${engine.name} over ${kind}`;
      await listener.run(listening(name));
      await sender.run(sending(name));
      const transferred = sender.evaluate(`transfer(${fileBytes})`) as Promise<Transfer>;
      await untilReceived(listener, fileBytes / 8);
      expect(await sender.evaluate("kind")).toBe(kind);
      for (const [at, cut] of cuts.entries()) {
        await (at % 2 ? listener : sender).evaluate(`void (${cut})`);
        await untilReceived(listener, (fileBytes * (at + 2)) / 8);
      }
      const { sent, received } = await transferred;
      expect(received).toBe(sent);
      await interruptionsOf(listener);
      await interruptionsOf(sender);
      await Promise.all(tabs.splice(0).map((tab) => tab.close()));
    }
  }, 120_000);
});

describe("A tab that is loaded again", () => {
  const [chromium] = engines as [Engine];
  /** In a page: a server that answers each client. */
  const answering = `
    import { StreamServer } from "browser-stream-server";
    globalThis.failures = [];
    const server = StreamServer(location.origin, (stream) => stream.end("answer")).listen("reloaded");
    server.on("error", ({ message }) => failures.push(message));
    await server.ready;
  `;
  /** In a page: clients that come one after the other, until they are told to stop. */
  const asking = `
    import { StreamClient } from "browser-stream-server";
    globalThis.outcomes = { answers: 0, failures: [] };
    globalThis.isAsking = true;
    globalThis.asked = (async () => {
      while (isAsking) {
        const stream = StreamClient(location.origin).connect("reloaded", { waitForListenerMs: 10_000 });
        try {
          for await (const message of stream.end()) if (message === "answer") outcomes.answers += 1;
        } catch ({ failure }) {
          outcomes.failures.push(failure);
        }
      }
    })();
  `;

  test("50 times has its name at once, while clients come and wait for it", async () => {
    const [listener, client] = await Promise.all([openTab(chromium, pages.origin), openTab(chromium, pages.origin)]);
    await listener.run(answering);
    await client.run(asking);
    for (let at = 0; at < 50; at += 1) {
      expect(await listener.evaluate("failures")).toEqual([]);
      await listener.goto(pages.origin);
      await listener.run(answering);
    }
    expect(await listener.evaluate("failures")).toEqual([]);
    await client.evaluate("(isAsking = false, asked)");
    const { answers, failures } = (await client.evaluate("outcomes")) as { answers: number; failures: Failure[] };
    expect(answers).toBeGreaterThan(50);
    // A page that is left takes along the streams that it had accepted.
    expect(failures.filter((failure) => failure !== Failure.LEG_LOST)).toEqual([]);
  }, 120_000);
});
