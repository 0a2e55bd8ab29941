import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, Failure, Hop } from "browser-stream-server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { EngineTab } from "../../engines/engine.js";
import { engines } from "../../engines/engines.js";
import { launchedEngines } from "../../engines/launched-engines.js";
import { openRelay, type TestRelay } from "../../integration/relay-ports.js";
import { openPages, type Pages } from "../pages.js";

const lost = { failure: Failure.LEG_LOST, hop: Hop.RELAY, code: Code.Unavailable };
/** The tab learns it within this time, which is less than a WebSocket may take before fetch is tried. */
const atOnceMs = 2_000;

const browserOf = launchedEngines();
const closers: (() => Promise<unknown>)[] = [];
let relay: TestRelay;
let pages: Pages;

beforeAll(async () => {
  relay = await openRelay();
  pages = await openPages(relay);
});

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

afterAll(async () => {
  await pages?.close();
  await relay?.close();
});

/** A web server without a relay. */
async function openServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const blank = `<!doctype html><link rel="icon" href="data:,">`;

/** In a page: how listening at a relay and connecting to it fail, and how soon. */
const attempts = `
  import { StreamClient, StreamServer } from "browser-stream-server";
  const told = async (promise) => {
    const startMs = performance.now();
    const { failure, hop, code, message } = await promise.then(() => ({}), (error) => error);
    return { failure, hop, code, message, afterMs: performance.now() - startMs };
  };
  globalThis.attempt = async (url) => [
    await told(StreamServer(url).listen("away").ready),
    await told(StreamClient(url).connect("away").opened),
  ];
  globalThis.stopWhileOpening = () => {
    const opened = told(StreamClient(location.origin).connect("slow").opened);
    window.stop();
    return opened;
  };
`;

interface Told {
  failure: Failure;
  hop: Hop;
  code: Code;
  message: string;
  afterMs: number;
}

describe.each(engines)("in $name, a relay", (engine) => {
  let tab: EngineTab;

  beforeAll(async () => {
    tab = await browserOf(engine).openTab(pages.origin);
  });

  afterAll(() => tab?.close());

  async function attemptAt(page: string, url = page): Promise<void> {
    await tab.goto(page);
    closers.unshift(() => tab.goto(pages.origin));
    await tab.run(attempts);
    for (const told of (await tab.evaluate(`attempt(${JSON.stringify(url)})`)) as Told[]) {
      expect(told).toMatchObject(lost);
      expect(told.message).toContain(`${url}/browser-server`);
      expect(told.afterMs).toBeLessThan(atOnceMs);
    }
  }

  test("that cannot be reached is one failure, with the URL", async () => {
    const nobody = createServer().listen(0, "127.0.0.1");
    await once(nobody, "listening");
    const { port } = nobody.address() as AddressInfo;
    await new Promise((resolve) => nobody.close(resolve));
    await attemptAt(pages.origin, `http://127.0.0.1:${port}`);
  });

  test("whose server has no relay is the same failure", async () => {
    const page: RequestListener = ({ url }, response) => {
      if (url === "/") response.setHeader("content-type", "text/html").end(blank);
      else response.writeHead(404).end();
    };
    await attemptAt(await openServer(page));
  });

  test("that the page's policy keeps it from is the same failure, at once", async () => {
    const page: RequestListener = (_request, response) => {
      response.setHeader("content-security-policy", "connect-src 'none'");
      response.setHeader("content-type", "text/html").end(blank);
    };
    await attemptAt(await openServer(page));
  });

  test("whose answer the page stops waiting for is the same failure", async () => {
    await tab.goto(pages.origin);
    await tab.run(attempts);
    const told = (await tab.evaluate("stopWhileOpening()")) as Partial<Told>;
    // Only Firefox ends WebSockets then. Elsewhere the relay answers that nobody listens.
    if (told.failure !== Failure.NO_SUCH_NAME) expect(told).toMatchObject(lost);
  });
});
