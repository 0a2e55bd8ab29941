import { Code, Failure, Hop, StreamClient, StreamServer } from "browser-stream-server";
import { describe, expect, onTestFinished, test } from "vitest";
import { rejection } from "../fakes/outcome.js";
import { holdsNothing, openRelay } from "./relay-ports.js";
import { allWays } from "./ways.js";

describe.each(Object.entries(allWays))("A limit, over %s,", (_way, open) => {
  test("is told to whoever meets it: which, its value, and when to try again", async () => {
    const relay = await openRelay({ limits: { maxNames: 1, maxOffersPerName: 1 } });
    onTestFinished(() => relay.close());
    const { transport, close } = open(relay.url);
    const server = StreamServer(transport, () => new Promise(() => {})).listen("room");
    await server.ready;
    const waiting = StreamClient(transport).connect("room");
    const refusals = [
      await rejection(StreamServer(transport).listen("other").ready),
      await rejection(StreamClient(transport).connect("room").opened),
    ];
    const common = { failure: Failure.LIMIT_REACHED, code: Code.ResourceExhausted, hop: Hop.RELAY };
    expect(refusals).toMatchObject([
      { ...common, limit: { name: "maxNames", value: 1, retryAfterMs: 1_000 } },
      { ...common, limit: { name: "maxOffersPerName", value: 1, retryAfterMs: 1_000 } },
    ]);
    waiting.on("error", () => {}).destroy();
    await server.end();
    close();
    await holdsNothing(relay, "links");
  });
});
