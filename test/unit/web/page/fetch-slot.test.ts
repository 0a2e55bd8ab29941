import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { noAnswerError, takeFetchSlot } from "../../../../web/page/fetch-slot.js";
import { rejection, settled } from "../../../fakes/outcome.js";

const relayUrl = "http://relay.example";
const secureUrl = "https://relay.example/browser-server";
const maxFetchLinks = 5;
const noConnection = { code: Code.ResourceExhausted, failure: Failure.LIMIT_REACHED, hop: Hop.CALLER };

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** The browser says what was spoken when this was fetched. */
function fetched(...entries: [url: string, nextHopProtocol: string][]): void {
  vi.spyOn(performance, "getEntriesByType").mockImplementation((type) =>
    type === "resource"
      ? entries.map(([name, nextHopProtocol]) => ({ name, nextHopProtocol }) as unknown as PerformanceEntry)
      : [],
  );
}

test("where a page may not ask for locks, nobody counts", async () => {
  const request = () => Promise.reject(new DOMException("no storage", "SecurityError"));
  vi.stubGlobal("navigator", { locks: { request } });
  expect(await takeFetchSlot(relayUrl)).toBeUndefined();
});

test("where there are no locks, nobody counts", async () => {
  vi.stubGlobal("navigator", {});
  expect(await takeFetchSlot(relayUrl)).toBeUndefined();
});

describe("where there are locks", () => {
  const held = new Set<string>();

  beforeEach(() => {
    held.clear();
    const request = async (name: string, _: LockOptions, use: (lock: Lock | null) => Promise<void>) => {
      if (held.has(name)) return use(null);
      held.add(name);
      return use({ name, mode: "exclusive" }).finally(() => held.delete(name));
    };
    vi.stubGlobal("navigator", { locks: { request } });
  });

  test.each([
    ["without TLS", relayUrl, []],
    ["with TLS, over HTTP/1.1", secureUrl, [[`${secureUrl}/page`, "http/1.1"]]],
  ] as [string, string, [string, string][]][])(
    "there are five places %s, and one for each that is given back",
    async (_, url, entries) => {
      fetched(...entries);
      const releases: ((() => void) | undefined)[] = [];
      for (let link = 1; link <= maxFetchLinks; link += 1) releases.push(await takeFetchSlot(url));
      expect(held.size).toBe(maxFetchLinks);
      expect(await rejection(takeFetchSlot(url))).toMatchObject(noConnection);
      releases[2]?.();
      await settled();
      await takeFetchSlot(url);
      expect(await rejection(takeFetchSlot(url))).toMatchObject(noConnection);
    },
  );

  test.each<[string, [string, string][]]>([
    ["HTTP/2 is spoken", [[`${secureUrl}/page`, "h2"]]],
    [
      "nothing is known of the relay",
      [
        ["https://other.example/page", "http/1.1"],
        [`${secureUrl}/page`, ""],
      ],
    ],
  ])("where %s, none is taken", async (_, entries) => {
    fetched(...entries);
    for (let link = 0; link <= maxFetchLinks; link += 1) expect(await takeFetchSlot(secureUrl)).toBeUndefined();
    expect(held.size).toBe(0);
  });
});

describe("a relay that does not answer", () => {
  const lost = { code: Code.Unavailable, failure: Failure.LEG_LOST, hop: Hop.RELAY };

  test("is lost outside a browser", () => {
    expect(noAnswerError()).toMatchObject(lost);
    expect(noAnswerError(relayUrl)).toMatchObject(lost);
  });

  test.each<[string, string | undefined, [string, string][], object]>([
    ["may have been asked without a connection in a browser, where its URL is not known", undefined, [], noConnection],
    ["may have been asked without a connection in a browser, without TLS", relayUrl, [], noConnection],
    [
      "may have been asked without a connection over HTTP/1.1",
      secureUrl,
      [[`${secureUrl}/page`, "http/1.1"]],
      noConnection,
    ],
    [
      "may have been asked without a connection over nobody knows what",
      secureUrl,
      [[`${secureUrl}/page`, ""]],
      noConnection,
    ],
    ["is lost in a browser over HTTP/2", secureUrl, [[`${secureUrl}/page`, "h2"]], lost],
  ])("%s", (_, url, entries, error) => {
    vi.stubGlobal("location", new URL("https://page.example"));
    fetched(...entries);
    expect(noAnswerError(url)).toMatchObject(error);
    expect(noAnswerError(url, true)).toMatchObject(lost);
  });
});
