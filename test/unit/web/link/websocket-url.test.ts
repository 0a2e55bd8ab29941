import { Code } from "@connectrpc/connect";
import { afterEach, expect, test, vi } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { linkSocketPath } from "../../../../link/packet/link-message.js";
import { openWebSocketLink } from "../../../../web/link/websocket-link.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { rejection } from "../../../fakes/outcome.js";

afterEach(() => vi.unstubAllGlobals());

/** The URL that is opened for a base URL. */
async function openedUrl(baseUrl: string): Promise<string> {
  const urls: string[] = [];
  vi.stubGlobal(
    "WebSocket",
    class {
      constructor(url: string) {
        urls.push(url);
        throw new DOMException("not from here", "SecurityError");
      }
    },
  );
  const error = await rejection(openWebSocketLink(baseUrl, new FakeClock(), 1_000));
  expect(error).toMatchObject({ code: Code.Unavailable, failure: Failure.LEG_LOST });
  return urls.join();
}

test.each([
  ["http://relay.example", "ws://relay.example"],
  ["https://relay.example/", "wss://relay.example"],
  ["ws://relay.example/a/b", "ws://relay.example/a/b"],
  ["wss://relay.example/a/", "wss://relay.example/a"],
])("the WebSocket of %s is below %s, and unavailable where a page may not open it", async (baseUrl, below) => {
  expect(await openedUrl(baseUrl)).toBe(below + linkSocketPath);
});

test("a query of the base URL stays a query", async () => {
  expect(await openedUrl("https://relay.example/bs?zone=1")).toBe(`wss://relay.example/bs${linkSocketPath}?zone=1`);
});
