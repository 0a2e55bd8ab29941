import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import type { Link } from "../../../../link/link.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { Deferred } from "../../../../stream/platform/deferred.js";
import { LinkPool } from "../../../../web/link/link-pool.js";
import type { LinkKind, LinkOpener, OpenedLink } from "../../../../web/link/opened-link.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { FakePage } from "../../../fakes/fake-page.js";
import { loneLink, newWatch, packet, request } from "../../../fakes/links.js";
import { rejection, settled } from "../../../fakes/outcome.js";

let page: FakePage;
let clock: FakeClock;
let openings: Deferred<OpenedLink>[];
let signals: AbortSignal[];
let onBetter: ((better: OpenedLink) => void)[];
let pool: LinkPool;

beforeEach(() => {
  page = new FakePage();
  clock = new FakeClock();
  openings = [];
  signals = [];
  onBetter = [];
  const open: LinkOpener = (signal, replace = () => {}) => {
    signals.push(signal);
    onBetter.push(replace);
    const opening = new Deferred<OpenedLink>();
    openings.push(opening);
    return opening.promise;
  };
  pool = new LinkPool(open, clock, 1_000);
});

afterEach(() => vi.unstubAllGlobals());

/** Opens what was asked for last. */
function opens() {
  const { link, said } = loneLink();
  openings.at(-1)?.resolve({ kind: "websocket", link, watch: newWatch(link, clock) });
  return { link, said };
}

async function opened() {
  const [got, lone] = [pool.get(), opens()];
  expect(await got).toBe(lone.link);
  return lone;
}

/** The relay answers all that a link has sent. */
async function answered(link: Link): Promise<void> {
  await settled();
  link.receive(packet({ content: { case: "pong", value: {} } }));
  await settled();
}

const left = { code: Code.Canceled, failure: Failure.LEG_LOST, hop: Hop.CALLER };
const endOf = async ({ isOpen, closed }: Link) => [isOpen, await closed];

test("all get the same link, which is asked for once", async () => {
  const first = pool.get();
  const second = pool.get();
  const { link } = opens();
  expect(await Promise.all([first, second, pool.get()])).toEqual([link, link, link]);
  expect(openings).toHaveLength(1);
  expect(pool.kind).toBe("websocket");
});

test("after one that could not be opened, or that broke, there is another", async () => {
  const failed = rejection(pool.get());
  openings[0]?.reject(new StreamError("no", { failure: Failure.DRAINING }));
  expect((await failed).failure).toBe(Failure.DRAINING);
  const { link } = await opened();
  link.close(new StreamError("cut"));
  await settled();
  expect(pool.kind).toBeUndefined();
  await opened();
  expect(openings).toHaveLength(3);
});

test("a page that is left ends its link, and opens none before it is back", async () => {
  const { link } = await opened();
  page.happens("pagehide");
  expect(await endOf(link)).toEqual([false, expect.objectContaining(left)]);
  expect(await rejection(pool.get())).toMatchObject(left);
  await settled();
  expect(await rejection(pool.get())).toMatchObject(left);
  page.happens("pageshow");
  await opened();
  expect(openings).toHaveLength(2);
});

test.each(["resume", "visibilitychange", "pageshow"] as const)(
  "a page that is back has a link again in its own listener to %s, which came first",
  async (event) => {
    let again: Promise<Link> | undefined;
    page.on(event, () => {
      again = pool.get();
    });
    await opened();
    page.happens("pagehide");
    page.happens(event);
    const { link } = opens();
    expect(await again).toBe(link);
  },
);

test.each([
  ["is gone", false],
  ["is back meanwhile", true],
])("a link that comes when its page %s ends at once", async (_, isBack) => {
  const asked = pool.get();
  expect(signals[0]?.aborted).toBe(false);
  page.happens("pagehide");
  expect(signals[0]?.reason).toMatchObject(left);
  if (isBack) page.happens("pageshow");
  const next = isBack ? await opened() : undefined;
  const late = loneLink();
  openings[0]?.resolve({ kind: "websocket", link: late.link, watch: newWatch(late.link, clock) });
  await asked;
  expect(await endOf(late.link)).toEqual([false, expect.objectContaining(left)]);
  if (next === undefined) return expect(pool.kind).toBeUndefined();
  expect(next.link.isOpen).toBe(true);
  expect(await pool.get()).toBe(next.link);
});

test("a link that could not be opened for a page that is back by then is not missed", async () => {
  const failed = rejection(pool.get());
  page.happens("pagehide");
  page.happens("pageshow");
  const { link } = await opened();
  openings[0]?.reject(new StreamError("no"));
  await failed;
  expect(await pool.get()).toBe(link);
});

test("a page that is shown at first disturbs nothing", async () => {
  const asked = pool.get();
  page.happens("pageshow");
  const { link } = opens();
  expect(await asked).toBe(link);
  page.happens("pageshow");
  expect(await pool.get()).toBe(link);
});

test("a page that wakes asks for the relay, if there is a link", async () => {
  const asked = pool.get();
  page.happens("online");
  const { link, said } = opens();
  await asked;
  link.open(request());
  page.happens("online");
  await settled();
  expect(said.map(({ content }) => content.case)).toEqual(["request", "ping"]);
});

test("the page is followed while there is a link, and not longer", async () => {
  expect(page.listeners).toBe(0);
  const failed = rejection(pool.get());
  expect(page.listeners).toBeGreaterThan(0);
  openings[0]?.reject(new StreamError("no"));
  await failed;
  expect(page.listeners).toBe(0);
  const { link } = await opened();
  expect(page.listeners).toBeGreaterThan(0);
  link.close(new StreamError("cut"));
  await settled();
  expect(page.listeners).toBe(0);
});

test("a link that nobody uses is closed after a while, and one that broke leaves no timer", async () => {
  const idle = await opened();
  clock.advance(1_000);
  expect(idle.link.isOpen).toBe(false);
  await settled();
  const broken = await opened();
  broken.link.close(new StreamError("cut"));
  await settled();
  expect(clock.timers).toBe(0);
});

test("a link that ends late takes nothing from the next", async () => {
  const first = await opened();
  page.happens("pagehide");
  page.happens("pageshow");
  const next = await opened();
  await first.link.closed;
  await settled();
  expect(await pool.get()).toBe(next.link);
});

describe("LinkPool", () => {
  /** Opens the link that was asked for last, with room for so many channels. */
  function opensWithRoom(maxChannels: number, kind: LinkKind = "websocket") {
    const { link } = loneLink({ maxChannels });
    const held: boolean[] = [];
    const hold = (isHeld: boolean) => held.push(isHeld);
    const opened = { kind, link, watch: newWatch(link, clock), hold };
    openings.at(-1)?.resolve(opened);
    return { link, held, opened };
  }

  test("opens another link when none has room for a call, and takes the first one again when it has", async () => {
    const asked = pool.get();
    const first = opensWithRoom(1);
    const channel = (await asked).open(request());
    const [again, andAgain] = [pool.get(), pool.get()];
    const second = opensWithRoom(1);
    expect(await Promise.all([again, andAgain])).toEqual([second.link, second.link]);
    expect(openings).toHaveLength(2);
    second.link.open(request());
    channel.reset(new StreamError("over"));
    expect(await pool.get()).toBe(first.link);
  });

  test("gives calls to a better link from then on, and ends the worse one with its last call", async () => {
    const asked = pool.get();
    const worse = opensWithRoom(8, "fetch");
    const channel = (await asked).open(request());
    expect(pool.kind).toBe("fetch");
    const better = opensWithRoom(8).opened;
    onBetter.at(-1)?.(better);
    expect(pool.kind).toBe("websocket");
    expect([pool.kindOf(worse.link), pool.kindOf(better.link)]).toEqual(["fetch", "websocket"]);
    expect(await pool.get()).toBe(better.link);
    expect(worse.link.isOpen).toBe(true);
    channel.reset(new StreamError("over"));
    await answered(worse.link);
    expect(worse.link.isOpen).toBe(false);
    expect(openings).toHaveLength(1);
  });

  test("doubt gives up the link that is being opened, asks the others, and opens another next time", async () => {
    const waiting = rejection(pool.get());
    const error = new StreamError("no answer", { failure: Failure.LEG_LOST });
    pool.doubt(error);
    const reason = signals[0]?.reason;
    expect(reason).toBe(error);
    const { link, said } = await opened();
    openings[0]?.reject(reason);
    expect(await waiting).toBe(error);
    expect(await pool.get()).toBe(link);
    const saidBefore = said.length;
    pool.doubt(error);
    await settled();
    expect(said.length).toBe(saidBefore + 1);
  });

  test("doubt lets all later calls wait for the link that is opened next", async () => {
    const first = rejection(pool.get());
    pool.doubt(new StreamError("no answer", { failure: Failure.LEG_LOST }));
    expect(page.listeners).toBe(0);
    const second = pool.get();
    openings[0]?.reject(signals[0]?.reason);
    await first;
    const third = pool.get();
    const { link } = opens();
    expect([await second, await third]).toEqual([link, link]);
    expect(openings).toHaveLength(2);
  });

  test("retire takes one link out, which ends with its last call, and not the link that took its place", async () => {
    const { link: old, said } = await opened();
    const call = old.open(request());
    await settled();
    pool.retire(old);
    const { link } = await opened();
    pool.retire(old);
    expect(await pool.get()).toBe(link);
    expect(old.isOpen).toBe(true);
    call.reset(new StreamError("done"));
    await settled();
    expect([old.isOpen, said.map(({ content }) => content.case)]).toEqual([true, ["request", "reset", "ping"]]);
    await answered(old);
    expect(old.isOpen).toBe(false);
  });

  test("ends every link of a page that is left, and a better one that comes too late", async () => {
    const asked = pool.get();
    const worse = opensWithRoom(8, "fetch");
    (await asked).open(request());
    const better = opensWithRoom(8).opened;
    page.happens("pagehide");
    onBetter.at(-1)?.(better);
    expect(await endOf(worse.link)).toEqual([false, expect.objectContaining(left)]);
    expect(await endOf(better.link)).toEqual([false, expect.objectContaining(left)]);
  });

  test("keeps a process alive for calls alone", async () => {
    const asked = pool.get();
    const { link, held } = opensWithRoom(8);
    await asked;
    await settled();
    expect(held.at(-1)).toBe(false);
    const channel = (await pool.get()).open(request());
    expect(held.at(-1)).toBe(true);
    channel.reset(new StreamError("over"));
    expect(held.at(-1)).toBe(false);
    expect(link.isOpen).toBe(true);
  });
});
