import { readFileSync, writeFileSync } from "node:fs";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BrowserOutcomes, type WayRow } from "../../contract/browsers-page.js";
import { contract } from "../../contract/contract.js";
import type { ContractCase } from "../../contract/contract-case.js";
import type { Role } from "../../contract/party.js";
import { failuresOf, type Outcome, play } from "../../contract/play.js";
import type { WebWay, WebWayKind } from "../../contract/web-way.js";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { isCi } from "../../gate/step.js";
import { holdsNothing, openRelay, selfSigned, type TestRelay } from "../../integration/relay-ports.js";

const pagePath = new URL("../../../docs/browsers.md", import.meta.url);
const links: Partial<Record<WebWayKind, string>> = {
  websocket: "WebSocket",
  "connect-binary": "fetch, Connect in binary",
  "connect-json": "fetch, Connect in JSON",
  "grpc-web": "fetch, gRPC-Web",
};
const kinds = Object.keys(links) as WebWayKind[];
const tls = selfSigned();
const ports = [
  { port: "plain HTTP", options: {}, fetchProtocol: "http/1.1", row: () => "1.1, plain" },
  {
    port: "TLS",
    options: { tls },
    fetchProtocol: "h2",
    row: (kind: WebWayKind) => (kind === "websocket" ? "1.1, TLS" : "2, TLS"),
  },
];
const rowOf = (kind: WebWayKind, { row }: (typeof ports)[number]): WayRow => ({ link: links[kind]!, http: row(kind) });
const rows = ports.flatMap((port) => kinds.map((kind) => rowOf(kind, port)));
const outcomes = new BrowserOutcomes(
  engines.map(({ name }) => name),
  rows,
  contract,
);
const browserOf = launchedEngines();
let names = 0;

beforeAll(() => setDefaultCACertificates([...getCACertificates("default"), tls.cert]));

/** A tab that can play either part. */
async function openTab(engine: (typeof engines)[number], { origin }: TestRelay): Promise<EngineTab> {
  const tab = await browserOf(engine).openTab(origin);
  await tab.run(`import { play } from "browser-stream-server/contract"; Object.assign(globalThis, { play });`);
  return tab;
}

function playIn(tab: EngineTab, role: Role, { name: caseName }: ContractCase, name: string, way: WebWay) {
  return tab.evaluate(`play(...${JSON.stringify([role, caseName, name, way])})`) as Promise<Outcome>;
}

describe.each(engines)("a tab of $name", { concurrent: true }, (engine) => {
  describe.each(ports)("over $port", { concurrent: false }, (port) => {
    let relay: TestRelay;
    let tab: EngineTab;

    beforeAll(async () => {
      relay = await openRelay(port.options);
      tab = await openTab(engine, relay);
    });

    afterAll(async () => {
      await tab?.close();
      await relay?.close();
    });

    for (const kind of kinds) {
      describe.each(["listener", "client"] as const)(`over ${links[kind]}, as the %s`, (role) => {
        test.each(contract)("$name", async (contractCase) => {
          const name = `name ${++names}`;
          const other = role === "listener" ? "client" : "listener";
          const [ofOther, ofTab] = await Promise.all([
            play(other, contractCase.name, name, { kind: "base-url", url: relay.origin }),
            playIn(tab, role, contractCase, name, { kind, url: relay.url }),
          ]);
          const failures = failuresOf([ofOther, ofTab]);
          outcomes.recordWay(engine.name, rowOf(kind, port), role, contractCase, failures.length === 0);
          expect(failures).toEqual([]);
          expect(ofTab).toEqual({ passed: true, transport: kind === "websocket" ? "websocket" : "fetch" });
          await holdsNothing(relay, "links");
        });
      });
    }

    test(`fetch was ${port.fetchProtocol}`, async () => {
      const protocols = await tab.evaluate(`performance.getEntriesByType("resource")
        .filter(({ name }) => name.includes("LinkService")).map(({ nextHopProtocol }) => nextHopProtocol)`);
      expect(new Set(protocols as string[])).toEqual(new Set([port.fetchProtocol]));
    });
  });
});

describe("tabs of two engines", () => {
  const tabs = new Map<(typeof engines)[number], EngineTab>();
  let relay: TestRelay;

  beforeAll(async () => {
    relay = await openRelay();
    await Promise.all(engines.map(async (engine) => tabs.set(engine, await openTab(engine, relay))));
  });

  afterAll(async () => {
    await Promise.all([...tabs.values()].map((tab) => tab.close()));
    await relay?.close();
  });

  const pairs = engines.flatMap((listening) =>
    engines.flatMap((connecting) => (connecting === listening ? [] : [{ listening, connecting }])),
  );

  describe.each(pairs)("$listening.name listens and $connecting.name connects", ({ listening, connecting }) => {
    test.each(contract)("$name", async (contractCase) => {
      const name = `name ${++names}`;
      const way: WebWay = { kind: "base-url", url: relay.origin };
      const played = await Promise.all([
        playIn(tabs.get(listening)!, "listener", contractCase, name, way),
        playIn(tabs.get(connecting)!, "client", contractCase, name, way),
      ]);
      const failures = failuresOf(played);
      outcomes.recordPair(listening.name, connecting.name, contractCase, failures.length === 0);
      expect(failures).toEqual([]);
      expect(played).toEqual(Array(2).fill({ passed: true, transport: "websocket" }));
      await holdsNothing(relay, "links");
    });
  });
});

test("docs/browsers.md says what this run gave", () => {
  expect(outcomes.complete).toBe(true);
  const page = outcomes.page(engines.map((engine) => ({ name: engine.name, version: browserOf(engine).version })));
  // A browser that was updated meanwhile is no news.
  const withoutVersions = (text: string) => text.replaceAll(/(?<=Chromium|Firefox|WebKit) [\d.]+/g, "");
  if (isCi) expect(withoutVersions(page)).toBe(withoutVersions(readFileSync(pagePath, "utf8")));
  else writeFileSync(pagePath, page);
});
