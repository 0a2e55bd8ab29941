import { Code, Failure, Hop, StreamClient, StreamServer } from "browser-stream-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rejection } from "../../fakes/outcome.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { allWays } from "../ways.js";

const messageBytes = 100_000;
/** The bytes are so many that some of them wait for credit, in the link and in the stream. */
const messages = 40;

let relay: TestRelay;

beforeAll(async () => {
  relay = await openRelay();
});

afterAll(() => relay.close());

/** The turns in which a message is on its way from the application to the transport, which copies it. */
const turns = [0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20];

describe.each(["a WebSocket", "a link over Connect, binary", "Connect over HTTP/2", "a base URL"] as const)(
  "bytes that are transferred away before they are sent over %s",
  (kind) => {
    test("end their stream as a mistake of the caller's own, arrive whole or not at all, and harm no other", async () => {
      const { transport, close } = allWays[kind](relay.url);
      const sizes = new Set<number>();
      const server = StreamServer(transport, (stream) => {
        stream.on("error", () => {}).on("data", ({ length }) => sizes.add(length));
      }).listen("takes all");
      await server.ready;
      const bystander = StreamClient(transport).connect("takes all");
      await bystander.opened;
      for (const turn of turns) {
        const stream = StreamClient(transport).connect("takes all");
        await stream.opened;
        const closed = rejection(stream.closed);
        const written = Array.from({ length: messages }, () => new Uint8Array(messageBytes));
        for (const bytes of written) stream.write(bytes);
        for (let at = 0; at < turn; at += 1) await Promise.resolve();
        for (const bytes of written) structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
        expect(await closed).toMatchObject({
          code: Code.InvalidArgument,
          failure: Failure.UNSPECIFIED,
          hop: Hop.CALLER,
        });
      }
      bystander.end("still here");
      bystander.destroy();
      await rejection(bystander.closed);
      expect([...sizes].filter((size) => size !== messageBytes && size !== 10)).toEqual([]);
      await server.end();
      await holdsNothing(relay, "links");
      close();
    });
  },
);
