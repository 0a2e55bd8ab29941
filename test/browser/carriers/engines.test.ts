import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { StreamServerProxy } from "browser-stream-server/server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { linkProtocol, linkSocketPath } from "../../../link/packet/link-message.js";
import type { Engine, EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { openRelay, selfSigned } from "../../integration/relay-ports.js";
import { type RelayProcess, startRelay } from "../../relay-process.js";

/** In a page: a line of text and 1 MiB at random go each way. */
const exchange = `
  const totalBytes = 1_048_576;
  const partBytes = 65_536;
  const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).join();
  globalThis.exchange = async (stream, text) => {
    const sent = new Uint8Array(totalBytes);
    const sending = (async () => {
      stream.write(text);
      for (let from = 0; from < totalBytes; from += partBytes) {
        const part = crypto.getRandomValues(sent.subarray(from, from + partBytes));
        if (!stream.write(part)) await new Promise((resolve) => stream.once("drain", resolve));
      }
      stream.end();
    })();
    const texts = [];
    const parts = [];
    for await (const message of stream) (typeof message === "string" ? texts : parts).push(message);
    await sending;
    await stream.closed;
    return { texts, sent: await sha256(sent), received: await sha256(await new Blob(parts).arrayBuffer()) };
  };
`;

interface Exchange {
  texts: string[];
  sent: string;
  received: string;
}

const browserOf = launchedEngines();
const tabs = new Map<Engine, { listener: EngineTab; client: EngineTab }>();
let relay: RelayProcess;

beforeAll(async () => {
  relay = await startRelay();
  await Promise.all(
    engines.map(async (engine) => {
      const open = () => browserOf(engine).openTab(relay.origin);
      const [listener, client] = await Promise.all([open(), open()]);
      tabs.set(engine, { listener, client });
      await listener.run(`${exchange}
        import { StreamServer } from "browser-stream-server";
        globalThis.exchanges = {};
        await StreamServer(location.origin, (stream) => {
          exchanges[stream.metadata.from] = exchange(stream, "from the listener");
        }).listen("${engine.name}").ready;
      `);
      await client.run(`${exchange}
        import { StreamClient } from "browser-stream-server";
        const client = StreamClient(location.origin);
        globalThis.exchangeWith = (name) =>
          exchange(client.connect(name, { metadata: { from: "${engine.name}" } }), "from the client");
      `);
    }),
  );
});

afterAll(async () => {
  await relay?.stop();
});

describe.each(engines)("$name", (engine) => {
  test("tells its version", () => {
    expect(browserOf(engine).version).toMatch(/^\d+\.\d+/);
  });

  test("shows its tabs at once, so that none is slowed", async () => {
    for (const tab of Object.values(tabs.get(engine)!)) {
      expect(await tab.evaluate("document.visibilityState")).toBe("visible");
    }
  });

  test("gives what an expression throws, while another one waits", async () => {
    const { client } = tabs.get(engine)!;
    const waiting = client.evaluate("new Promise((resolve) => { globalThis.resolveIt = resolve; })");
    await expect(client.evaluate("Promise.reject(new RangeError())")).rejects.toMatchObject({ name: "RangeError" });
    await client.evaluate("resolveIt({ of: [1, null] })");
    expect(await waiting).toEqual({ of: [1, null] });
  });

  test("takes a certificate that nobody trusts", async () => {
    const secure = await openRelay({ tls: selfSigned() });
    const tab = await browserOf(engine).openTab(secure.origin);
    expect(await tab.evaluate("location.origin")).toBe(secure.origin);
    await tab.close();
    await secure.close();
  });
});

describe.each(engines)("a tab of $name listens", (listening) => {
  test.each(engines)("and one of $name connects: messages and 1 MiB go each way", async (connecting) => {
    const { client } = tabs.get(connecting)!;
    const { listener } = tabs.get(listening)!;
    const here = (await client.evaluate(`exchangeWith("${listening.name}")`)) as Exchange;
    const there = (await listener.evaluate(`exchanges["${connecting.name}"]`)) as Exchange;
    expect(here).toEqual({ texts: ["from the listener"], sent: there.received, received: there.sent });
    expect(there.texts).toEqual(["from the client"]);
    expect(here.sent).not.toBe(here.received);
  });
});

/** A relay on a server that tells how each request of a page was answered: with its method and its status. */
async function openWatchedRelay() {
  const answers: string[] = [];
  const server = createServer();
  const proxy = StreamServerProxy({ hosts: ["127.0.0.1"] }).install(server);
  const emit = server.emit;
  server.emit = (event: string, ...args: unknown[]) => {
    const [request, response] = args as [IncomingMessage, ServerResponse];
    if (event === "request") response.on("finish", () => answers.push(`${request.method} ${response.statusCode}`));
    return Reflect.apply(emit, server, [event, ...args]);
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    proxy.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { answers, proxy, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/browser-server`, close };
}

/** In a page: tries all that a page can send elsewhere, and returns what it got through with. */
const trespass = (url: string) => `(async () => {
  const url = ${JSON.stringify(url)};
  const through = [];
  const attempt = async (what, send) => {
    if (await send().catch(() => false)) through.push(what);
  };
  const simple = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"];
  for (const rpc of ["RelayService/Listen", "RelayService/List", "LinkService/Receive", "LinkService/Send"]) {
    const address = url + "/streamserver.v1." + rpc;
    for (const type of [...simple, "application/json", "application/connect+json"]) {
      const init = { method: "POST", headers: { "content-type": type }, body: "{}" };
      await attempt(rpc + " " + type, async () => (await fetch(address, init)).ok);
    }
    await fetch(address, { method: "POST", mode: "no-cors", body: "{}" });
  }
  navigator.sendBeacon(url + "/streamserver.v1.LinkService/Send", "{}");
  await attempt("a WebSocket", () => new Promise((resolve) => {
    const socket = new WebSocket(url.replace("http", "ws") + "${linkSocketPath}", "${linkProtocol}");
    socket.onopen = () => resolve(true);
    socket.onerror = () => resolve(false);
  }));
  return through;
})()`;

describe.each(engines)("a page of another site in $name", (engine) => {
  test("gets through to no handler of the relay, not even with what browsers ask no leave for", async () => {
    const watched = await openWatchedRelay();
    const tab = await browserOf(engine).openTab(relay.origin);
    expect(await tab.evaluate(trespass(watched.url))).toEqual([]);
    expect(watched.answers.filter((answer) => answer === "POST 403").length).toBeGreaterThanOrEqual(4 * 4);
    expect(watched.answers.filter((answer) => !["POST 403", "OPTIONS 204"].includes(answer))).toEqual([]);
    expect(Object.values(watched.proxy.counts).filter((count) => count > 0)).toEqual([]);
    await tab.close();
    await watched.close();
  });
});
