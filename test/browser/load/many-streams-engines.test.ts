import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { holdsNothing, openRelay, type TestRelay } from "../../integration/relay-ports.js";

const streams = 200;
const messagesPerStream = 3;
/** A relay lets 128 wait at a listener. */
const atOnce = 100;

const browserOf = launchedEngines();
let relay: TestRelay;

beforeAll(async () => {
  // Firefox may end a page before its goodbye is out; its streams are then over when the grace period is.
  relay = await openRelay({ limits: { graceMs: 1_000 } });
});

afterAll(async () => {
  await relay?.close();
});

/** Each engine with the next one's tab as its listener. */
const pairs = engines.map((client, at) => {
  const listener = engines[(at + 1) % engines.length]!;
  return { client, listener, name: `${client.name} to ${listener.name}` };
});

const listening = `
  import { StreamServer } from "browser-stream-server";
  globalThis.server = StreamServer(location.origin, async (stream) => {
    for await (const message of stream) stream.write(message);
    stream.end();
  }).listen("many");
  await server.ready;
`;

/** Writes on every stream, and reads as many messages, before it ends any. */
const connecting = `
  import { StreamClient } from "browser-stream-server";
  const client = StreamClient(location.origin);
  const messagesOf = (at) => Array.from({ length: ${messagesPerStream} }, (_, of) => at + "." + of);
  const open = async (at) => {
    const stream = client.connect("many");
    for (const message of messagesOf(at)) stream.write(message);
    const messages = stream[Symbol.asyncIterator]();
    const echoed = [];
    for (const _ of messagesOf(at)) echoed.push((await messages.next()).value);
    return { stream, messages, echoed };
  };
  const opened = [];
  while (opened.length < ${streams}) {
    opened.push(...await Promise.all(Array.from({ length: ${atOnce} }, (_, of) => open(opened.length + of))));
  }
  globalThis.echoed = opened.map(({ echoed }) => echoed);
  globalThis.ways = [...new Set(opened.map(({ stream }) => stream.transport))];
  globalThis.endAll = () => Promise.all(opened.map(async ({ stream, messages }) => {
    stream.end();
    const { done } = await messages.next();
    await stream.closed;
    return done;
  }));
`;

describe.each(pairs)("$name", ({ client, listener }) => {
  const tabs: EngineTab[] = [];

  afterAll(async () => {
    await Promise.all(tabs.map((tab) => tab.close()));
    await holdsNothing(relay);
  });

  test(`${streams} streams of a tab are open at once, on a link for each tab`, async () => {
    const opened = await Promise.all([listener, client].map((engine) => browserOf(engine).openTab(relay.origin)));
    tabs.push(...opened);
    const [listenerTab, clientTab] = opened as [EngineTab, EngineTab];
    await listenerTab.run(listening);
    await clientTab.run(connecting);
    expect(relay.proxy.counts).toMatchObject({ streams, legs: 2 * streams, links: 2 });
    expect(await clientTab.evaluate("ways")).toEqual(["websocket"]);
    expect(await listenerTab.evaluate("server.transport")).toBe("websocket");
    const expected = Array.from({ length: streams }, (_, at) =>
      Array.from({ length: messagesPerStream }, (_, of) => `${at}.${of}`),
    );
    expect(await clientTab.evaluate("echoed")).toEqual(expected);
    expect(await clientTab.evaluate("endAll()")).toEqual(Array(streams).fill(true));
    expect(relay.proxy.counts.links).toBe(2);
    await Promise.all(tabs.splice(0).map((tab) => tab.close()));
    await holdsNothing(relay);
  });
});
