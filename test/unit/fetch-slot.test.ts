import { afterEach, expect, test, vi } from "vitest";
import { takeFetchSlot } from "../../web/fetch-slot.js";

const relayUrl = "http://relay.example";

afterEach(() => vi.unstubAllGlobals());

test("where a page may not ask for locks, there is a place", async () => {
  const request = () => Promise.reject(new DOMException("no storage", "SecurityError"));
  vi.stubGlobal("navigator", { locks: { request } });
  expect(await takeFetchSlot(relayUrl)).toBeTypeOf("function");
});

test("where there are no locks, there is a place", async () => {
  vi.stubGlobal("navigator", {});
  expect(await takeFetchSlot(relayUrl)).toBeTypeOf("function");
});
