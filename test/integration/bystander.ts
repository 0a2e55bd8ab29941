import { createWebSocketTransport, StreamClient, StreamServer } from "browser-stream-server";
import { expect } from "vitest";
import type { TestRelay } from "./relay-ports.js";

/** A stream on a link of its own, which goes on whatever others do. */
export async function openBystander(relay: TestRelay) {
  const transport = createWebSocketTransport({ baseUrl: relay.url, idleTimeoutMs: 1 });
  const server = StreamServer(transport, (stream) => stream.pipe(stream)).listen("bystander");
  await server.ready;
  const stream = StreamClient(transport).connect("bystander");
  await stream.opened;
  return {
    /** Ends it, if it went on. */
    async expectUndisturbed(): Promise<void> {
      stream.end("still well");
      const echoed: unknown[] = [];
      for await (const message of stream) echoed.push(message);
      expect(echoed).toEqual(["still well"]);
      await server.end();
    },
  };
}
