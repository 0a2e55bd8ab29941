import { StreamServer } from "browser-stream-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contract } from "../../contract/contract.js";
import type { ContractCase } from "../../contract/contract-case.js";
import { type Outcome, play } from "../../contract/play.js";
import type { WebWay, WebWayKind } from "../../contract/web-way.js";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { holdsNothing, openRelay, type TestRelay } from "../../integration/relay-ports.js";
import { httpVersionHeader } from "../../proxies/haproxy.js";
import { startNginx } from "../../proxies/nginx.js";
import { proxies } from "../../proxies/proxies.js";
import type { RunningProxy } from "../../proxies/start-proxy.js";
import { openPages, type Pages } from "../pages.js";

/** The cases that a proxy can hold up, cut off or mix up. The others are about names, or send less in the same ways. */
const cases = [
  "a thousand messages each way",
  "after the client has ended, 4 MiB",
  "after the listener has ended, 4 MiB",
  "both sides end at once",
  "a client's signal",
  "50 streams at once, one of them unread",
].map((start) => contract.find(({ name }) => name.startsWith(start))!);

interface Path {
  through: string;
  start(relayOrigin: string): Promise<RunningProxy>;
  /** The transports that a tab is given, each with the way in which its streams then travel. */
  ways: { given: WebWayKind; transport: "websocket" | "fetch" }[];
}

const paths: Path[] = [
  ...Object.entries(proxies).map(
    ([through, { start }]): Path => ({
      through,
      start,
      ways: [
        { given: "base-url", transport: "websocket" },
        { given: "connect-binary", transport: "fetch" },
      ],
    }),
  ),
  {
    through: "an nginx that refuses WebSockets",
    start: (relayOrigin) => startNginx({ relayOrigin, variant: "refuses-websockets" }),
    ways: [{ given: "base-url", transport: "fetch" }],
  },
];

/** Each round trip over fetch takes a request, and nginx takes 50 requests on a connection here. */
const roundTrips = 120;
const pingPong = `
  import { StreamClient } from "browser-stream-server";
  const stream = StreamClient(location.origin).connect("echo");
  const messages = stream[Symbol.asyncIterator]();
  globalThis.echoed = 0;
  while (echoed < ${roundTrips}) {
    stream.write("ping " + echoed);
    const { value } = await messages.next();
    if (value !== "ping " + echoed) throw new Error("after ping " + echoed + " came " + value);
    echoed += 1;
  }
  stream.end();
  await stream.closed;
`;

/** The version of HTTP over which a browser opens its WebSockets where a server takes them over HTTP/2. */
const socketVersions = { Chromium: "2.0", Firefox: "2.0", WebKit: "1.1" };

const browserOf = launchedEngines();
let names = 0;

function listenIn(tab: EngineTab, { name: caseName }: ContractCase, name: string, way: WebWay): Promise<Outcome> {
  return tab.evaluate(`play(...${JSON.stringify(["listener", caseName, name, way])})`) as Promise<Outcome>;
}

describe.each(engines)("a tab of $name", { concurrent: true }, (engine) => {
  describe.each(paths)("through $through", { concurrent: false }, ({ through, start, ways }) => {
    let relay: TestRelay;
    let pages: Pages;
    let proxy: RunningProxy;
    let tab: EngineTab;

    beforeAll(async () => {
      relay = await openRelay();
      pages = await openPages(relay);
      proxy = await start(pages.origin);
      tab = await browserOf(engine).openTab(proxy.origin);
      await tab.goto(proxy.origin);
      await tab.run(`import { play } from "browser-stream-server/contract"; Object.assign(globalThis, { play });`);
    });

    afterAll(async () => {
      await tab?.close();
      await proxy?.end();
      await pages?.close();
      await relay?.close();
    });

    describe.each(ways)("given $given, a stream of $transport", ({ given, transport }) => {
      test.each(cases)("$name", async (contractCase) => {
        const name = `name ${++names}`;
        const url = proxy.origin + (given === "base-url" ? "" : relay.proxy.prefixes[0]);
        const outcomes = await Promise.all([
          listenIn(tab, contractCase, name, { kind: given, url }),
          play("client", contractCase.name, name, { kind: "base-url", url: pages.origin }),
        ]);
        expect(outcomes).toEqual([
          { passed: true, transport },
          { passed: true, transport: "websocket" },
        ]);
        await holdsNothing(relay, "links");
      });
    });

    if (through === "HAProxy") {
      test(`the one WebSocket came over HTTP/${socketVersions[engine.name]}`, () => {
        const sockets = pages.upgrades.filter(({ origin }) => origin === proxy.origin);
        expect(sockets.map((headers) => headers[httpVersionHeader])).toEqual([socketVersions[engine.name]]);
      });
    }

    test(`${roundTrips} messages are answered one by one`, async () => {
      const server = StreamServer(pages.origin, (stream) => stream.pipe(stream)).listen("echo");
      await server.ready;
      await tab.run(pingPong);
      expect(await tab.evaluate("echoed")).toBe(roundTrips);
      await server.end();
    });

    test("fetch was h2", async () => {
      const protocols = await tab.evaluate(`performance.getEntriesByType("resource")
        .filter(({ name }) => name.includes("LinkService")).map(({ nextHopProtocol }) => nextHopProtocol)`);
      expect(new Set(protocols as string[])).toEqual(new Set(["h2"]));
    });
  });
});
