import { mintToken, tokenPolicy } from "browser-stream-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { accessSecret as secret } from "../../fakes/access-keys.js";
import { openRelay, type TestRelay } from "../../integration/relay-ports.js";
import { openUpgradeProxy, type UpgradeProxy } from "../upgrade-proxy.js";

const browserOf = launchedEngines();
let relay: TestRelay;
/** A way to the relay through which no WebSocket gets. */
let proxy: UpgradeProxy;
let tokens: { listener: string; client: string };

beforeAll(async () => {
  relay = await openRelay({ authorize: tokenPolicy({ secret }) });
  proxy = await openUpgradeProxy(relay.origin, "refuses");
  tokens = {
    listener: await mintToken({ secret, subject: "ann", streams: { "user/{sub}": ["listen"] } }),
    client: await mintToken({ secret, subject: "bob", name: "Bob", streams: { "user/*": ["connect"] } }),
  };
});

afterAll(async () => {
  await proxy?.close();
  await relay?.close();
});

describe.each(engines)("a tab of $name", (engine) => {
  test.each([
    ["websocket", () => relay.origin],
    ["fetch", () => proxy.origin],
  ])("shows its tokens over a link of %s, and is refused without", async (kind, origin) => {
    const tab = await browserOf(engine).openTab(origin());
    await tab.run(`
      import { StreamClient, StreamServer } from "browser-stream-server";
      const { listener, client } = ${JSON.stringify(tokens)};
      globalThis.visit = async () => {
        const server = StreamServer(location.origin, { token: async () => listener }, (stream) => {
          stream.end(stream.caller.subject + " " + stream.caller.name);
        }).listen("user/ann");
        await server.ready;
        const stream = StreamClient(location.origin, { token: client }).connect("user/ann");
        const heard = [];
        for await (const message of stream) heard.push(message);
        const refused = await StreamClient(location.origin).connect("user/ann").opened.catch(({ code }) => code);
        const kind = server.transport;
        await server.end();
        return { heard, refused, kind };
      };
    `);
    expect(await tab.evaluate("visit()")).toEqual({ heard: ["bob Bob"], refused: 16, kind });
    await tab.close();
  });
});
