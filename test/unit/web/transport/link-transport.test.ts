import { Code, createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { RelayService } from "../../../../gen/streamserver/v1/relay_pb.js";
import { createLinkTransport } from "../../../../web/transport/link-transport.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { loneLink, newWatch } from "../../../fakes/links.js";
import { rejection, settled } from "../../../fakes/outcome.js";

const idleTimeoutMs = 100;

/** A transport on a link of the test's, and how often it was opened. */
function linkTransport() {
  const clock = new FakeClock();
  const { link } = loneLink();
  let openings = 0;
  const open = async () => {
    openings += 1;
    return { kind: "websocket" as const, link, watch: newWatch(link, clock) };
  };
  const client = createClient(RelayService, createLinkTransport(open, clock, { idleTimeoutMs }));
  /** A call that is on the link, and then is not. */
  const call = async () => {
    const abort = new AbortController();
    const calling = rejection(client.list({}, { signal: abort.signal }));
    await settled();
    expect(link.size).toBe(1);
    abort.abort();
    await calling;
  };
  return { clock, link, call, openings: () => openings };
}

test("a link waits for the next call from the end of the last one on", async () => {
  const { clock, link, call, openings } = linkTransport();
  for (let calls = 0; calls < 3; calls++) {
    await call();
    clock.advance(idleTimeoutMs - 1);
    expect(link.isOpen).toBe(true);
  }
  clock.advance(1);
  expect(link.isOpen).toBe(false);
  await settled();
  expect(clock.timers).toBe(0);
  expect(openings()).toBe(1);
});

test("a call that is cancelled, or late, does not wait for a link that opens", async () => {
  const opening = () => new Promise<never>(() => {});
  const client = createClient(RelayService, createLinkTransport(opening, new FakeClock()));
  const abort = new AbortController();
  const [aborted, late] = [client.list({}, { signal: abort.signal }), client.list({}, { timeoutMs: 1 })].map(rejection);
  abort.abort();
  expect((await aborted)?.code).toBe(Code.Canceled);
  expect((await late)?.code).toBe(Code.DeadlineExceeded);
});
