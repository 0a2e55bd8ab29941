import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { sessionMemory } from "../../../../web/link/link-memory.js";

const ageMs = 600_000;

/** A `Storage`, as far as a memory uses it. */
function fakeStorage() {
  const items = new Map<string, string>();
  return {
    items,
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => void items.set(key, value),
    removeItem: (key: string) => void items.delete(key),
  };
}

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("sessionMemory", () => {
  test("outlives its page, for the relay that it is of", () => {
    vi.stubGlobal("sessionStorage", fakeStorage());
    expect(sessionMemory("https://a").leftMs).toBe(0);
    sessionMemory("https://a").refuse(true);
    expect(sessionMemory("https://a").leftMs).toBe(ageMs);
    expect(sessionMemory("https://b").leftMs).toBe(0);
  });

  test.each([
    ["ages", ageMs],
    ["is forgotten when the clock is set back", -1],
  ])("%s", (_, ms) => {
    vi.stubGlobal("sessionStorage", fakeStorage());
    sessionMemory("https://a").refuse(true);
    vi.setSystemTime(Date.now() + ms);
    expect(sessionMemory("https://a").leftMs).toBe(0);
  });

  test("leaves nothing stored when it forgets", () => {
    const storage = fakeStorage();
    vi.stubGlobal("sessionStorage", storage);
    const memory = sessionMemory("https://a");
    memory.refuse(true);
    expect(storage.items.size).toBe(1);
    memory.forget();
    expect(memory.leftMs).toBe(0);
    expect(storage.items.size).toBe(0);
  });

  test("lasts as long as the page where a page may store nothing", () => {
    const denied = () => {
      throw new DOMException("denied", "SecurityError");
    };
    vi.stubGlobal("sessionStorage", { getItem: denied, setItem: denied, removeItem: denied });
    const memory = sessionMemory("https://a");
    memory.refuse(true);
    expect(memory.leftMs).toBe(ageMs);
    memory.forget();
    expect(memory.leftMs).toBe(0);
  });
});
