import { afterEach, expect, test, vi } from "vitest";
import { sessionMemory } from "../../web/transport/session-memory.js";

/** What `Storage` is to a memory. */
function fakeStorage() {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
}

afterEach(() => {
  vi.unstubAllGlobals();
});

test("a memory outlives its page, for the relay that it is of", () => {
  vi.stubGlobal("sessionStorage", fakeStorage());
  expect(sessionMemory("https://a").prefersFetch).toBe(false);
  sessionMemory("https://a").prefersFetch = true;
  expect(sessionMemory("https://a").prefersFetch).toBe(true);
  expect(sessionMemory("https://b").prefersFetch).toBe(false);
});

test("what is forgotten leaves nothing stored", () => {
  const storage = fakeStorage();
  vi.stubGlobal("sessionStorage", storage);
  const memory = sessionMemory("https://a");
  memory.prefersFetch = true;
  expect(storage.items.size).toBe(1);
  memory.prefersFetch = false;
  expect(memory.prefersFetch).toBe(false);
  expect(storage.items.size).toBe(0);
});

test("where a page may store nothing, the memory is the page's", () => {
  const denied = () => {
    throw new DOMException("denied", "SecurityError");
  };
  vi.stubGlobal("sessionStorage", { getItem: denied, setItem: denied, removeItem: denied });
  const memory = sessionMemory("https://a");
  expect(memory.prefersFetch).toBe(false);
  memory.prefersFetch = true;
  expect(memory.prefersFetch).toBe(true);
  memory.prefersFetch = false;
  expect(memory.prefersFetch).toBe(false);
});
