import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { ListRequestSchema } from "../../../../gen/streamserver/v1/relay_pb.js";
import { Directory } from "../../../../server/relay/directory.js";
import type { Relay } from "../../../../server/relay/relay.js";
import { maxWalkMs } from "../../../../server/relay/walk-turns.js";
import { rejection, settled, thrown } from "../../../fakes/outcome.js";
import { newRelay, someCaller } from "../../../fakes/relays.js";

function listen(relay: Relay, ...names: string[]) {
  return names.map((name) => relay.listen(name, true).lease);
}

function list(directory: Directory, init: { prefix?: string; pageSize?: number; pageToken?: string } = {}) {
  return directory.list(create(ListRequestSchema, init));
}

test("names are listed in the order of their UTF-8 bytes, if their listeners want it", async () => {
  const { relay } = newRelay();
  // U+FF5E comes before U+1F600 in UTF-8, and after it in UTF-16.
  listen(relay, "b", "\u{1f600}", "\uff5e", "a", "B", "é");
  relay.listen("hidden", false);
  expect((await list(new Directory(relay))).names).toEqual(["B", "a", "b", "é", "\uff5e", "\u{1f600}"]);
});

test("names are listed by prefix, page by page", async () => {
  const { relay } = newRelay();
  listen(relay, "x/3", "x/1", "y", "x/2", "x/4", "x/5");
  const directory = new Directory(relay);
  const pages: string[][] = [];
  let pageToken = "";
  do {
    const page = await list(directory, { prefix: "x/", pageSize: 2, pageToken });
    pages.push(page.names ?? []);
    pageToken = page.nextPageToken ?? "";
  } while (pageToken !== "");
  expect(pages).toEqual([["x/1", "x/2"], ["x/3", "x/4"], ["x/5"]]);
});

test("a page takes no more names in hand than it holds, and one beyond", async () => {
  const { relay } = newRelay();
  listen(relay, ...Array.from({ length: 100 }, (_, at) => `x/${at + 100}`), "a", "y");
  const asked: string[] = [];
  const shows = (name: string) => asked.push(name) > 0;
  const request = create(ListRequestSchema, { prefix: "x/", pageSize: 2, pageToken: "x/150" });
  const page = await new Directory(relay).list(request, shows);
  expect(page).toEqual({ names: ["x/151", "x/152"], nextPageToken: "x/152" });
  expect(asked).toEqual(["x/151", "x/152", "x/153"]);
});

test("a name is listed as its newest listener wants it", async () => {
  const { relay } = newRelay();
  const directory = new Directory(relay);
  const ownerKey = "k".repeat(22);
  for (const listed of [true, false, true]) {
    relay.listen("room", listed, { isResumable: true, ownerKey });
    expect((await list(directory)).names).toEqual(listed ? ["room"] : []);
  }
});

test("a page that holds exactly what is left is the last one", async () => {
  const { relay } = newRelay();
  listen(relay, "a", "b");
  expect(await list(new Directory(relay), { pageSize: 2 })).toEqual({ names: ["a", "b"], nextPageToken: "" });
});

test("paging goes on where it was, though names come and go", async () => {
  const { relay } = newRelay();
  const [, b] = listen(relay, "a", "b", "d");
  const directory = new Directory(relay);
  const { nextPageToken = "" } = await list(directory, { pageSize: 2 });
  b?.end("canceled");
  listen(relay, "c", "a2");
  expect((await list(directory, { pageToken: nextPageToken })).names).toEqual(["c", "d"]);
});

test.each([0, 1_001, 4_294_967_295])("a page size of %d is 1,000", async (pageSize) => {
  const { relay } = newRelay();
  listen(relay, ...Array.from({ length: 1_001 }, (_, at) => `${at}`.padStart(4, "0")));
  const { names, nextPageToken } = await list(new Directory(relay), { pageSize });
  expect([names?.length, nextPageToken]).toEqual([1_000, "0999"]);
});

/** A watcher that hears everything as it comes. */
function watching(directory: Directory, prefix = "") {
  const abort = new AbortController();
  const heard: string[] = [];
  const ended = (async () => {
    for await (const { event } of directory.watch(prefix, abort.signal)) {
      heard.push(
        event?.case === "created" || event?.case === "destroyed"
          ? `${event.case} ${event.value.name}`
          : `${event?.case}`,
      );
    }
  })();
  return { heard, ended, stop: () => abort.abort() };
}

/** Returns a set that has the observers of the names from now on. */
function observersOf({ registry }: Relay): Set<unknown> {
  const observers = new Set<unknown>();
  const observe = registry.observe.bind(registry);
  registry.observe = (observer) => {
    observers.add(observer);
    const stop = observe(observer);
    return () => {
      observers.delete(observer);
      stop();
    };
  };
  return observers;
}

test("a watcher hears what there is, that this was all, and then what changes", async () => {
  const { relay } = newRelay();
  const [b] = listen(relay, "b", "a");
  relay.listen("hidden", false);
  const { heard, stop, ended } = watching(new Directory(relay));
  await settled();
  listen(relay, "c");
  b?.end("canceled");
  await settled();
  expect(heard).toEqual(["created a", "created b", "current", "created c", "destroyed b"]);
  stop();
  await ended;
});

test("a watcher hears of names that begin with its prefix only", async () => {
  const { relay } = newRelay();
  listen(relay, "x/1", "y/1");
  const { heard, stop } = watching(new Directory(relay), "x/");
  await settled();
  for (const lease of listen(relay, "x/2", "y/2")) lease.end("canceled");
  listen(relay, "x/3", "y/3");
  await settled();
  expect(heard).toEqual(["created x/1", "current", "created x/3"]);
  stop();
});

test("a slow watcher hears of each name once: how it is now", async () => {
  const { relay } = newRelay();
  const [kept, lost] = listen(relay, "kept", "lost");
  const directory = new Directory(relay);
  const abort = new AbortController();
  const watch = directory.watch("", abort.signal);
  for (let heard = 0; heard < 3; heard++) await watch.next();
  for (let times = 0; times < 100; times++) {
    for (const lease of listen(relay, "flicker")) lease.end("canceled");
  }
  lost?.end("canceled");
  kept?.end("canceled");
  listen(relay, "kept");
  const events = [await watch.next(), await watch.next()].map(({ value }) => value?.event);
  expect(events).toMatchObject([
    { case: "destroyed", value: { name: "lost" } },
    { case: "created", value: { name: "kept" } },
  ]);
  const nothingMore = watch.next();
  abort.abort();
  expect((await nothingMore).done).toBe(true);
});

test("a quiet watch beats", async () => {
  const { relay, clock } = newRelay({ heartbeatIntervalMs: 1_000 });
  const { heard, stop, ended } = watching(new Directory(relay));
  await settled();
  clock.advance(1_000);
  await settled();
  expect(heard).toEqual(["current", "ping"]);
  stop();
  await ended;
  expect(clock.timers).toBe(0);
});

test("so many watch at once; one that stops makes room, and nothing of it stays", async () => {
  const { relay } = newRelay({ maxWatchers: 1 });
  const directory = new Directory(relay);
  const observers = observersOf(relay);
  const first = watching(directory);
  await settled();
  expect((await rejection(watching(directory).ended)).failure).toBe(Failure.LIMIT_REACHED);
  expect(directory.watchers).toBe(1);
  first.stop();
  await first.ended;
  expect([directory.watchers, observers.size]).toEqual([0, 0]);
});

test("a watch that was cancelled before it began ends at once", async () => {
  const directory = new Directory(newRelay().relay);
  const { done } = await directory.watch("", AbortSignal.abort()).next();
  expect([done, directory.watchers]).toEqual([true, 0]);
});

test("watches end with the relay, and say why", async () => {
  const { relay } = newRelay();
  const directory = new Directory(relay);
  const { ended } = watching(directory);
  await settled();
  relay.close();
  directory.close();
  expect((await rejection(ended)).failure).toBe(Failure.DRAINING);
  expect(directory.watchers).toBe(0);
  expect(thrown(() => relay.listen("x", true)).failure).toBe(Failure.DRAINING);
});

describe("a policy that takes a millisecond for each name", () => {
  /** Names that the policy was asked about in each turn, until something is done. */
  async function turnsUntil(done: Promise<unknown>, asked: string[]): Promise<number[]> {
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    const turns: number[] = [];
    while (!isDone) {
      turns.push(asked.length);
      asked.length = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    return turns;
  }

  function slow(names: number) {
    const { relay, clock } = newRelay();
    listen(relay, ...Array.from({ length: names }, (_, at) => `x/${at + 1_000}`));
    const asked: string[] = [];
    const shows = (name: string) => {
      clock.advance(1);
      asked.push(name);
      return Number(name.slice(2)) % 10 === 0;
    };
    return { relay, directory: new Directory(relay), asked, shows };
  }

  test("is asked by all that list for a few names in each turn, and the one with few names waits for no other", async () => {
    const { relay, directory, asked, shows } = slow(200);
    listen(relay, "y/10");
    const all = create(ListRequestSchema, { pageSize: 20 });
    const ended: string[] = [];
    const asking = async (kind: string, request: typeof all) => {
      const page = await directory.list(request, shows);
      ended.push(kind);
      return page;
    };
    const long = [asking("long", all), asking("long", all)];
    const short = asking("short", create(ListRequestSchema, { prefix: "y/" }));
    const turns = await turnsUntil(Promise.all([...long, short]), asked);
    expect(Math.max(...turns)).toBe(maxWalkMs);
    expect(ended).toEqual(["short", "long", "long"]);
    for (const { names, nextPageToken } of await Promise.all(long)) {
      expect([names?.length, nextPageToken]).toEqual([20, "x/1190"]);
    }
  });

  test("is asked no more for a call that was cancelled", async () => {
    const { directory, asked, shows } = slow(200);
    const abort = new AbortController();
    const page = directory.list(create(ListRequestSchema, {}), shows, abort.signal);
    abort.abort();
    expect((await turnsUntil(page, asked)).reduce((sum, names) => sum + names)).toBe(maxWalkMs);
  });

  test("is asked by watchers for a few names in each turn, which hear each name once though names come and go", async () => {
    const { relay, directory, asked, shows } = slow(60);
    const abort = new AbortController();
    const heard: string[][] = [[], []];
    const current = heard.map(async (events) => {
      for await (const { event } of directory.watch("", abort.signal, someCaller, shows)) {
        events.push(event?.case === "created" ? `${event.value.name}` : `${event?.case}`);
        if (event?.case === "current") return;
      }
    });
    await new Promise((resolve) => setImmediate(resolve));
    asked.length = 0;
    // One that was walked over, one that was not, and one that is gone before anybody has asked about it.
    listen(relay, "a/10", "z/20");
    for (const lease of listen(relay, "b/30")) lease.end("canceled");
    const turns = await turnsUntil(Promise.all(current), asked);
    expect(Math.max(...turns)).toBeLessThanOrEqual(maxWalkMs);
    const shown = ["a/10", ...[0, 10, 20, 30, 40, 50].map((at) => `x/${at + 1_000}`), "z/20"];
    for (const events of heard) {
      expect(events.at(-1)).toBe("current");
      expect(events.slice(0, -1).sort()).toEqual(shown);
    }
    abort.abort();
  });

  test("is asked about a new name for a few watchers in each turn", async () => {
    const { relay, directory, asked, shows } = slow(0);
    const abort = new AbortController();
    const watches = Array.from({ length: 30 }, () => directory.watch("", abort.signal, someCaller, shows));
    for (const watch of watches) expect((await watch.next()).value?.event?.case).toBe("current");
    const next = watches.map((watch) => watch.next());
    listen(relay, "x/10");
    const turns = await turnsUntil(Promise.all(next), asked);
    expect(Math.max(...turns)).toBeLessThanOrEqual(maxWalkMs);
    expect((await Promise.all(next)).map(({ value }) => value?.event)).toEqual(
      watches.map(() => expect.objectContaining({ case: "created", value: { name: "x/10" } })),
    );
    abort.abort();
  });
});
