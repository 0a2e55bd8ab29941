import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { followPage } from "../../../../web/page/page-life.js";
import { FakePage } from "../../../fakes/fake-page.js";

let page: FakePage;
let happened: string[];
const life = {
  onLeave: () => happened.push("leave"),
  onShow: () => happened.push("show"),
  onWake: () => happened.push("wake"),
};

beforeEach(() => {
  page = new FakePage();
  happened = [];
});

afterEach(() => vi.unstubAllGlobals());

test("a page is left and shown", () => {
  followPage(life);
  page.happens("pagehide");
  page.happens("pageshow");
  expect(happened).toEqual(["leave", "show"]);
});

test.each([
  ["online", ["wake"]],
  ["resume", ["show", "wake"]],
  ["visibilitychange", ["show", "wake"]],
] as const)("a page wakes with the event %s", (event, expected) => {
  followPage(life);
  page.happens(event);
  expect(happened).toEqual(expected);
});

test("a page that is hidden does not wake", () => {
  followPage(life);
  page.hide();
  expect(happened).toEqual([]);
});

test("a page that is followed no more is listened to no more", () => {
  const stop = followPage(life);
  expect(page.listeners).toBe(5);
  stop();
  expect(page.listeners).toBe(0);
});

test("where there are no pages, there is none to follow", () => {
  vi.unstubAllGlobals();
  followPage(life)();
  expect(happened).toEqual([]);
});
