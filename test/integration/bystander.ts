import { createWebSocketTransport, StreamClient, StreamServer } from "browser-stream-server";
import { expect } from "vitest";
import type { TestRelay } from "./relay-ports.js";

const pauseMs = 5;
/**
 * Several times what floods take on a busy machine, of which this process does both sides; a relay that stalls takes
 * longer.
 */
const maxRoundTripMs = 5_000;

/** A stream on a link of its own, which echoes all the while, whatever others do. */
export async function openBystander(relay: TestRelay) {
  const transport = createWebSocketTransport({ baseUrl: relay.url, idleTimeoutMs: 1 });
  const server = StreamServer(transport, (stream) => stream.pipe(stream)).listen("bystander");
  await server.ready;
  const stream = StreamClient(transport).connect("bystander");
  const echoes = stream[Symbol.asyncIterator]();
  let isLeaving = false;
  let longestMs = 0;
  async function echo(): Promise<void> {
    for (let sent = 0; !isLeaving || sent === 0; sent += 1) {
      // The pause counts, for what stands still may stand still in it.
      const startedMs = performance.now();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      stream.write(`${sent}`);
      expect((await echoes.next()).value).toBe(`${sent}`);
      longestMs = Math.max(longestMs, performance.now() - startedMs);
    }
  }
  const echoing = echo();
  echoing.catch(() => {});
  await stream.opened;
  return {
    /** Ends it, if it went on. */
    async expectUndisturbed(): Promise<void> {
      isLeaving = true;
      await echoing;
      expect(longestMs).toBeLessThan(maxRoundTripMs);
      stream.end();
      expect((await echoes.next()).done).toBe(true);
      await server.end();
    },
  };
}
