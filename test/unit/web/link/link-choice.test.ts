import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { relayLostError } from "../../../../stream/error/failure-detail.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { chooseLink } from "../../../../web/link/link-choice.js";
import { LinkMemory } from "../../../../web/link/link-memory.js";
import type { LinkKind, LinkOpener, OpenedLink } from "../../../../web/link/opened-link.js";
import { HandshakeError } from "../../../../web/link/websocket-link.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { loneLink, newWatch } from "../../../fakes/links.js";
import { promiseState, rejection, settled } from "../../../fakes/outcome.js";

const refused = relayLostError("HTTP 403", new HandshakeError("HTTP 403", true));
const failed = relayLostError("closed with 1006", new HandshakeError("closed with 1006", false));
const late = relayLostError("opened no link in time");
const away = relayLostError("no route");
const full = new StreamError("no connection is left", { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER });
const draining = new StreamError("going away", { failure: Failure.DRAINING });

/** How long fetch waits for a WebSocket, and how long where WebSockets have got through. */
const [patienceMs, knownPatienceMs] = [2_500, 10_000];
const refusalAgeMs = 600_000;
const failureAgeMs = 60_000;

let clock: FakeClock;
let memory: LinkMemory;
let tries: Record<LinkKind, Deferred<OpenedLink>[]>;
let better: OpenedLink[];
let leaving: AbortController;
let open: LinkOpener;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"] });
  clock = new FakeClock();
  memory = new LinkMemory("https://relay.example");
  tries = { websocket: [], fetch: [] };
  better = [];
  leaving = new AbortController();
  const opener =
    (kind: LinkKind): LinkOpener =>
    (signal) => {
      const attempt = new Deferred<OpenedLink>();
      tries[kind].push(attempt);
      signal.addEventListener("abort", () => attempt.reject(signal.reason));
      return attempt.promise;
    };
  open = chooseLink({ openWebSocket: opener("websocket"), openFetch: opener("fetch"), memory, clock });
});

afterEach(() => void vi.useRealTimers());

const choose = () => open(leaving.signal, (link) => better.push(link));
const counts = () => [tries.websocket.length, tries.fetch.length];

async function opens(kind: LinkKind): Promise<OpenedLink> {
  const { link } = loneLink();
  const opened = { kind, link, watch: newWatch(link, new FakeClock(), 1_000) };
  tries[kind].at(-1)?.resolve(opened);
  await settled();
  return opened;
}

async function fails(kind: LinkKind, error: StreamError): Promise<void> {
  tries[kind].at(-1)?.reject(error);
  await settled();
}

async function passes(ms: number): Promise<void> {
  clock.advance(ms);
  await settled();
}

/** A choice that had a WebSocket before. */
async function withWebSocketsKnown(): Promise<void> {
  const first = choose();
  await opens("websocket");
  await first;
}

describe("chooseLink opens", () => {
  test("a WebSocket, and nothing beside it", async () => {
    const chosen = choose();
    expect(await opens("websocket")).toBe(await chosen);
    expect(counts()).toEqual([1, 0]);
    expect(clock.timers).toBe(0);
  });

  test("a fetch link where the WebSocket is slow, and hands on the WebSocket when it comes", async () => {
    const chosen = choose();
    await passes(patienceMs - 1);
    expect(counts()).toEqual([1, 0]);
    await passes(1);
    expect(await opens("fetch")).toBe(await chosen);
    const socket = await opens("websocket");
    expect(better).toEqual([socket]);
    expect([...counts(), memory.leftMs]).toEqual([1, 1, 0]);
  });

  test("the slow WebSocket if it comes before the fetch link, which is given up", async () => {
    const chosen = choose();
    await passes(patienceMs);
    expect(await opens("websocket")).toBe(await chosen);
    expect(await promiseState(tries.fetch[0]?.promise ?? chosen)).toBe("rejected");
  });

  test("the WebSocket in its own time where WebSockets have got through and no connection is left for fetch", async () => {
    await withWebSocketsKnown();
    const chosen = choose();
    await passes(knownPatienceMs - 1);
    expect(counts()).toEqual([2, 0]);
    await passes(1);
    await fails("fetch", full);
    expect(await promiseState(chosen)).toBe("pending");
    expect(await opens("websocket")).toBe(await chosen);
  });
});

describe("chooseLink rejects with", () => {
  test("what the relay itself says against a WebSocket", async () => {
    const chosen = rejection(choose());
    await fails("websocket", draining);
    expect(await chosen).toBe(draining);
    expect([...counts(), memory.leftMs]).toEqual([1, 0, 0]);
  });

  test("what was in the way of fetch, where neither can be had, and remembers nothing", async () => {
    for (const times of [1, 2]) {
      const chosen = rejection(choose());
      await fails("websocket", failed);
      await fails("fetch", away);
      expect(await chosen).toBe(away);
      expect([...counts(), memory.leftMs]).toEqual([times, times, 0]);
    }
  });

  test("what was in the way of the WebSocket, where those have got through and no connection is left for fetch", async () => {
    await withWebSocketsKnown();
    const chosen = rejection(choose());
    await passes(knownPatienceMs);
    await fails("fetch", full);
    await fails("websocket", late);
    expect(await chosen).toBe(late);
  });

  test.each(["websocket", "fetch"] as const)("why the page was left while a %s link opened", async (kind) => {
    if (kind === "fetch") memory.refuse(true);
    const chosen = rejection(choose());
    const left = new StreamError("left");
    leaving.abort(left);
    expect(await chosen).toBe(left);
    expect(counts()).toEqual(kind === "fetch" ? [0, 1] : [1, 0]);
    expect(memory.leftMs > 0).toBe(kind === "fetch");
  });
});

describe("chooseLink beside an open fetch link", () => {
  /** A fetch link that took the place of a WebSocket. */
  async function beside(obstacle: StreamError): Promise<OpenedLink> {
    const chosen = choose();
    await fails("websocket", obstacle);
    await opens("fetch");
    return chosen;
  }

  test("tries again at once after a failure, which was an accident if the WebSocket opens, and is the link then", async () => {
    const chosen = choose();
    await fails("websocket", failed);
    const { link } = await opens("fetch");
    expect(await opens("websocket")).toBe(await chosen);
    expect([...counts(), memory.leftMs, link.isOpen]).toEqual([2, 1, 0, false]);
  });

  test("waits for the second WebSocket no longer than for one, and hands it on when it comes", async () => {
    const chosen = choose();
    await passes(patienceMs - 1);
    await fails("websocket", failed);
    const fetched = await opens("fetch");
    expect(await promiseState(chosen)).toBe("pending");
    await passes(1);
    expect(await chosen).toBe(fetched);
    expect(better).toEqual([await opens("websocket")]);
    expect(better).toHaveLength(1);
  });

  test.each([
    ["one refusal", refusalAgeMs, [refused]],
    ["two failures in a row", failureAgeMs, [failed, failed]],
  ])("remembers %s for %i ms, and tries WebSockets again after that", async (_, ageMs, [first = failed, ...others]) => {
    const chosen = beside(first);
    await settled();
    for (const other of others) await fails("websocket", other);
    const fetched = await chosen;
    expect(memory.leftMs).toBe(ageMs);
    const triesBefore = tries.websocket.length;
    const again = choose();
    await opens("fetch");
    expect((await again).kind).toBe("fetch");
    expect(counts()).toEqual([triesBefore, 2]);
    vi.advanceTimersByTime(ageMs);
    await passes(ageMs);
    expect(memory.leftMs).toBe(0);
    expect(tries.websocket.length).toBeGreaterThan(triesBefore);
    fetched.link.close(new StreamError("over"));
    (await again).link.close(new StreamError("over"));
  });

  test("pauses longer after each WebSocket that takes too long, and remembers none", async () => {
    const chosen = choose();
    await passes(patienceMs);
    await opens("fetch");
    const { link } = await chosen;
    for (const [times, pauseMs] of [1_000, 2_000, 4_000].entries()) {
      await fails("websocket", late);
      await passes(pauseMs - 1);
      expect(tries.websocket).toHaveLength(times + 1);
      await passes(1);
      expect(tries.websocket).toHaveLength(times + 2);
    }
    expect(memory.leftMs).toBe(0);
    link.close(new StreamError("over"));
    await settled();
    expect(await rejection(tries.websocket.at(-1)?.promise ?? Promise.resolve())).toBeInstanceOf(StreamError);
    expect(clock.timers).toBe(0);
  });
});

test("chooseLink forgets a refusal when no fetch link can be had", async () => {
  memory.refuse(true);
  const chosen = choose();
  await fails("fetch", away);
  expect(await opens("websocket")).toBe(await chosen);
  expect(memory.leftMs).toBe(0);
});
