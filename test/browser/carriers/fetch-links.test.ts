import { Code, Failure, Hop } from "browser-stream-server";
import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WebWay, WebWayKind } from "../../contract/web-way.js";
import { type RelayProcess, startRelay } from "../../relay-process.js";
import { launchBrowser, openTab, type Tab } from "../browser.js";
import { openUpgradeProxy, type UpgradeProxy } from "../upgrade-proxy.js";

/**
 * A browser has six connections to an origin over HTTP/1.1. Each link keeps one, and all links together need one to
 * send.
 */
const maxFetchLinks = 5;

let browser: Browser;
let context: BrowserContext;
let relay: RelayProcess;
let proxy: UpgradeProxy;

beforeAll(async () => {
  [browser, relay] = await Promise.all([launchBrowser(), startRelay()]);
  context = await browser.newContext();
  proxy = await openUpgradeProxy(relay.origin, "refuses");
});

afterAll(async () => {
  await browser?.close();
  await proxy?.close();
  await relay?.stop();
});

const noConnection = { code: Code.ResourceExhausted, failure: Failure.LIMIT_REACHED, hop: Hop.CALLER };

/** A tab of the same user; `listen` answers how the relay was reached, or why not. */
async function tabOfUser(kind: WebWayKind): Promise<{ tab: Tab; listen(name: string): Promise<unknown> }> {
  const way: WebWay = { kind, url: kind === "base-url" ? proxy.origin : `${proxy.origin}/browser-server` };
  const tab = await openTab(context, proxy.origin);
  await tab.run(`
    import { StreamClient, StreamServer } from "browser-stream-server";
    import { transportOf } from "browser-stream-server/contract";
    const transport = transportOf(${JSON.stringify(way)});
    globalThis.listen = async (name) => {
      const server = StreamServer(transport, (stream) => stream.pipe(stream)).listen(name);
      try {
        await server.ready;
        return server.transport;
      } catch ({ code, failure, hop }) {
        return { code, failure, hop };
      }
    };
    globalThis.echo = async (name) => {
      const stream = StreamClient(transport).connect(name);
      stream.end("hello");
      const heard = [];
      for await (const message of stream) heard.push(message);
      return heard;
    };
  `);
  return { tab, listen: (name) => tab.page.evaluate(`listen(${JSON.stringify(name)})`) };
}

// Each case has names of its own: a tab whose browser has no connection left cannot say goodbye, so that its name is
// kept.
test.each(["base-url", "connect-binary"] as const)(
  "over HTTP/1.1 the tab for which the browser has no connection is told so, and the others go on: %s",
  async (kind) => {
    const users = [];
    for (let tab = 1; tab <= maxFetchLinks; tab += 1) {
      const user = await tabOfUser(kind);
      expect(await user.listen(`${kind} ${tab}`)).toBe("fetch");
      users.push(user);
    }
    const oneMore = await tabOfUser(kind);
    expect(await oneMore.listen(`${kind} one more`)).toEqual(noConnection);
    const [first, last] = [users[0]!, users.at(-1)!];
    expect(await first.tab.page.evaluate(`echo("${kind} ${maxFetchLinks}")`)).toEqual(["hello"]);
    await last.tab.page.close();
    expect(await oneMore.listen(`${kind} one more`)).toBe("fetch");
    await Promise.all([...users.slice(0, -1), oneMore].map(({ tab }) => tab.page.close()));
  },
);

test.each([1, 3])(
  "of tabs that take all connections at once, %d too many, those are told that get none, and the others go on",
  async (tooMany) => {
    const users = [];
    for (let tab = 1; tab <= maxFetchLinks + tooMany; tab += 1) users.push(await tabOfUser("connect-binary"));
    const outcomes = await Promise.all(users.map(({ listen }, at) => listen(`${tooMany} too many, ${at}`)));
    const refused = outcomes.filter((outcome) => outcome !== "fetch");
    expect(refused).toEqual(refused.map(() => noConnection));
    expect(refused.length).toBeGreaterThanOrEqual(tooMany);
    expect(outcomes.length - refused.length).toBeGreaterThanOrEqual(maxFetchLinks - 2);
    await Promise.all(users.map(({ tab }) => tab.page.close()));
  },
);
