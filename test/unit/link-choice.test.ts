import { expect, test } from "vitest";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { closeError } from "../../link/close-code.js";
import { LinkWatch } from "../../link/link-watch.js";
import { StreamError } from "../../stream/stream-error.js";
import { chooseLink } from "../../web/transport/link-choice.js";
import type { LinkKind, OpenedLink } from "../../web/transport/opened-link.js";
import { FakeClock } from "../fakes/fake-clock.js";
import { loneLink } from "../fakes/links.js";
import { rejection } from "../fakes/outcome.js";

const refused = closeError(1006, "");
const silent = new StreamError("silent", { failure: Failure.LEG_LOST });
const full = new StreamError("full", { failure: Failure.LIMIT_REACHED });

function opened(kind: LinkKind): OpenedLink {
  const { link } = loneLink();
  return { kind, link, watch: new LinkWatch(link, new FakeClock(), 1_000) };
}

/** A choice between links that open unless something is in their way, and what was tried for it, in order. */
function choice({ prefersFetch = false } = {}) {
  const obstacles: Partial<Record<LinkKind, StreamError>> = {};
  const tried: LinkKind[] = [];
  const memory = { prefersFetch };
  const opener = (kind: LinkKind) => async () => {
    tried.push(kind);
    if (obstacles[kind] !== undefined) throw obstacles[kind];
    return opened(kind);
  };
  const leaving = new AbortController();
  const choose = chooseLink(opener("websocket"), opener("fetch"), memory);
  const open = () => choose(leaving.signal);
  return { obstacles, tried, memory, openedKind: async () => (await open()).kind, open, leave: () => leaving.abort() };
}

test("a WebSocket is tried first, and nothing beside it", async () => {
  const { tried, memory, openedKind } = choice();
  expect(await openedKind()).toBe("websocket");
  expect(await openedKind()).toBe("websocket");
  expect(tried).toEqual(["websocket", "websocket"]);
  expect(memory.prefersFetch).toBe(false);
});

test.each([
  ["refused", refused],
  ["silent", silent],
])("where the WebSocket is %s, a fetch link takes its place, and is remembered", async (_, obstacle) => {
  const { obstacles, tried, memory, openedKind } = choice();
  obstacles.websocket = obstacle;
  expect(await openedKind()).toBe("fetch");
  expect(memory.prefersFetch).toBe(true);
  expect(await openedKind()).toBe("fetch");
  expect(tried).toEqual(["websocket", "fetch", "fetch"]);
});

test("where a WebSocket was had before, a fetch link takes the place of one that fails, and is not remembered", async () => {
  const { obstacles, tried, memory, openedKind } = choice();
  expect(await openedKind()).toBe("websocket");
  obstacles.websocket = silent;
  expect(await openedKind()).toBe("fetch");
  expect(memory.prefersFetch).toBe(false);
  delete obstacles.websocket;
  expect(await openedKind()).toBe("websocket");
  expect(tried).toEqual(["websocket", "websocket", "fetch", "websocket"]);
});

test("what the relay itself says against a WebSocket stands, and nothing is remembered", async () => {
  const { obstacles, tried, memory, open } = choice();
  obstacles.websocket = full;
  expect(await rejection(open())).toBe(full);
  expect(tried).toEqual(["websocket"]);
  expect(memory.prefersFetch).toBe(false);
});

test("where neither can be had, the way of the fetch link is what fails, and a WebSocket is tried again", async () => {
  const { obstacles, tried, memory, open } = choice();
  obstacles.websocket = refused;
  obstacles.fetch = silent;
  expect(await rejection(open())).toBe(silent);
  expect(memory.prefersFetch).toBe(false);
  await rejection(open());
  expect(tried).toEqual(["websocket", "fetch", "websocket", "fetch"]);
});

test("a memory is followed until no fetch link can be had", async () => {
  const { obstacles, tried, memory, openedKind } = choice({ prefersFetch: true });
  expect(await openedKind()).toBe("fetch");
  obstacles.fetch = silent;
  expect(await openedKind()).toBe("websocket");
  expect(memory.prefersFetch).toBe(false);
  delete obstacles.fetch;
  expect(await openedKind()).toBe("websocket");
  expect(tried).toEqual(["fetch", "fetch", "websocket", "websocket"]);
});

test.each([
  ["websocket", false],
  ["fetch", true],
] as const)(
  "a page that is left while its %s link opens tries nothing else, and remembers what it did",
  async (kind, prefersFetch) => {
    const { obstacles, tried, memory, open, leave } = choice({ prefersFetch });
    obstacles[kind] = silent;
    leave();
    expect(await rejection(open())).toBe(silent);
    expect(tried).toEqual([kind]);
    expect(memory.prefersFetch).toBe(prefersFetch);
  },
);
