import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { takeOwnerKey } from "../../../../web/page/owner-key.js";
import { FakePage } from "../../../fakes/fake-page.js";

const relayUrl = "https://relay.example/browser-server";

let page: FakePage;
/** What the tab keeps, and what a tab that was duplicated from it gets a copy of. */
let tab: Map<string, string>;

beforeEach(() => {
  page = new FakePage();
  tab = new Map();
  vi.stubGlobal("sessionStorage", {
    getItem: (item: string) => tab.get(item) ?? null,
    setItem: (item: string, value: string) => tab.set(item, value),
    removeItem: (item: string) => tab.delete(item),
  });
});

afterEach(() => vi.unstubAllGlobals());

describe("takeOwnerKey", () => {
  test("makes another key each time, of 128 bits at least", () => {
    const [one, other] = [takeOwnerKey(relayUrl, "room").value, takeOwnerKey(relayUrl, "room").value];
    expect(one).not.toBe(other);
    expect(one.length).toBeGreaterThanOrEqual(16);
    expect(one.length).toBeLessThanOrEqual(128);
  });

  test("has a page that was loaded again use the key of the one before", () => {
    const { value } = takeOwnerKey(relayUrl, "room");
    page.happens("pagehide");
    expect(takeOwnerKey(relayUrl, "room").value).toBe(value);
  });

  test("keeps the keys of names and relays apart", () => {
    const { value } = takeOwnerKey(relayUrl, "room");
    page.happens("pagehide");
    expect(takeOwnerKey(relayUrl, "other room").value).not.toBe(value);
    expect(takeOwnerKey("https://other.example", "room").value).not.toBe(value);
  });

  test("leaves nothing for a copy of the storage while the page uses the key", () => {
    takeOwnerKey(relayUrl, "room");
    page.happens("pagehide");
    expect(tab.size).toBe(1);
    takeOwnerKey(relayUrl, "room");
    expect(tab.size).toBe(0);
  });

  test("takes the key out again when a page comes back that was left", () => {
    takeOwnerKey(relayUrl, "room");
    page.happens("pagehide");
    page.happens("pageshow");
    expect(tab.size).toBe(0);
  });

  test("keeps a key that was released as kept, and no other, and follows the page no more", () => {
    const kept = takeOwnerKey(relayUrl, "kept");
    const dropped = takeOwnerKey(relayUrl, "dropped");
    kept.release(true);
    dropped.release(false);
    page.happens("pagehide");
    expect([...tab.values()]).toEqual([kept.value]);
    expect(page.listeners).toBe(0);
  });

  test("makes a key where a page may store nothing", () => {
    vi.stubGlobal("sessionStorage", undefined);
    const { value, release } = takeOwnerKey(relayUrl, "room");
    page.happens("pagehide");
    release(true);
    expect(value).not.toBe("");
  });

  test("keeps nothing outside of pages, and nothing for a relay without a URL", () => {
    takeOwnerKey(undefined, "room").release(true);
    vi.stubGlobal("document", undefined);
    takeOwnerKey(relayUrl, "room").release(true);
    expect(tab.size).toBe(0);
  });
});
