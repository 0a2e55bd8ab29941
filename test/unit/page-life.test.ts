import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import type { Packet } from "../../gen/streamserver/v1/link_pb.js";
import type { Link } from "../../link/link.js";
import { LinkWatch } from "../../link/link-watch.js";
import { StreamError } from "../../stream/stream-error.js";
import type { OpenedLink } from "../../web/opened-link.js";
import { followPage } from "../../web/page-life.js";
import { FakeClock } from "../fakes/fake-clock.js";
import { loneLink } from "../fakes/links.js";
import { settled } from "../fakes/outcome.js";

let page: EventTarget;
let pageDocument: EventTarget & { visibilityState: string };
let link: Link;
let said: Packet[];
let opened: OpenedLink;

beforeEach(() => {
  page = new EventTarget();
  pageDocument = Object.assign(new EventTarget(), { visibilityState: "visible" });
  vi.stubGlobal("document", pageDocument);
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  ({ link, said } = loneLink());
  opened = { kind: "websocket", link, watch: new LinkWatch(link, new FakeClock(), 1_000) };
});

afterEach(() => {
  vi.unstubAllGlobals();
});

async function asked(): Promise<number> {
  await settled();
  return said.filter(({ content }) => content.case === "ping").length;
}

test("a link ends with its page, by the page's will", async () => {
  followPage(opened);
  page.dispatchEvent(new Event("pagehide"));
  expect(await link.closed).toMatchObject({ code: Code.Canceled, failure: Failure.LEG_LOST });
});

test.each<[string, () => void]>([
  ["has a network again", () => page.dispatchEvent(new Event("online"))],
  ["is thawed", () => pageDocument.dispatchEvent(new Event("resume"))],
  ["is shown", () => pageDocument.dispatchEvent(new Event("visibilitychange"))],
])("a page that %s asks for the relay", async (_, happen) => {
  followPage(opened);
  expect(await asked()).toBe(0);
  happen();
  expect(await asked()).toBe(1);
  expect(link.isOpen).toBe(true);
});

test("a page that is hidden asks for nothing", async () => {
  followPage(opened);
  pageDocument.visibilityState = "hidden";
  pageDocument.dispatchEvent(new Event("visibilitychange"));
  expect(await asked()).toBe(0);
});

test("a link that ended listens to nothing of its page", async () => {
  const [ofPage, ofDocument] = [vi.spyOn(page, "addEventListener"), vi.spyOn(pageDocument, "addEventListener")];
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  followPage(opened);
  const signals = [...ofPage.mock.calls, ...ofDocument.mock.calls].map(([, , options]) => {
    return typeof options === "object" ? options.signal : undefined;
  });
  expect(signals.map((signal) => signal?.aborted)).toEqual([false, false, false, false]);
  link.close(new StreamError("over"));
  await settled();
  expect(signals.map((signal) => signal?.aborted)).toEqual([true, true, true, true]);
});

test("where there are no pages, a link has none", async () => {
  vi.unstubAllGlobals();
  followPage(opened);
  expect(link.isOpen).toBe(true);
});
