import { afterEach, expect, test, vi } from "vitest";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.resetModules();
});

test("the classes of received messages can be loaded where there is neither Request nor Response", async () => {
  vi.resetModules();
  vi.stubGlobal("Request", undefined);
  vi.stubGlobal("Response", undefined);
  const { ReceivedRequest, ReceivedResponse } = await import("../../../../http/message/received-message.js");
  expect([typeof ReceivedRequest, typeof ReceivedResponse]).toEqual(["function", "function"]);
});
