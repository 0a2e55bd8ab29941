import { describe, expect, test } from "vitest";
import { Failure } from "../../../../../gen/streamserver/v1/failure_pb.js";
import { dataFrame } from "../../../../fakes/frames.js";
import { Listening, newRelay, offeredStream, relayed, splicedStream } from "../../../../fakes/relays.js";

const data = new Uint8Array(1);

/** An accepted stream with both its legs. */
function live(limits: Parameters<typeof splicedStream>[0]) {
  const stream = splicedStream(limits);
  const legs = [new Listening(stream.client), new Listening(stream.listener)] as const;
  return { ...stream, legs };
}

describe("StreamExpiry", () => {
  test("ends a stream that is older than maxStreamAgeMs, however busy it is", () => {
    const { clock, client, legs, relay } = live({ maxStreamAgeMs: 10_000 });
    for (let sequence = 1; sequence < 10; sequence += 1) {
      clock.advance(1_000);
      client.put(relayed(dataFrame(sequence, { data })));
    }
    expect(legs.map(({ end }) => end)).toEqual(["open", "open"]);
    clock.advance(1_000);
    const limit = { name: "maxStreamAgeMs", value: 10_000, retryAfterMs: 0 };
    for (const { end } of legs) expect(end).toMatchObject({ failure: Failure.LIMIT_REACHED, limit });
    expect([relay.counts.streams, clock.timers]).toEqual([0, 0]);
  });

  test("ends a stream on which nothing has come for maxStreamIdleMs, and no other", () => {
    const { clock, listener, legs } = live({ maxStreamIdleMs: 10_000 });
    clock.advance(9_000);
    listener.put(relayed(dataFrame(1, { data })));
    clock.advance(10_000);
    expect(legs.map(({ end }) => end)).toEqual(["open", "open"]);
    clock.advance(2_000);
    const limit = { name: "maxStreamIdleMs", value: 10_000, retryAfterMs: 0 };
    for (const { end } of legs) expect(end).toMatchObject({ failure: Failure.LIMIT_REACHED, limit });
    expect(clock.timers).toBe(0);
  });

  test("does not end an offer that waits", () => {
    const { clock, relay } = offeredStream({ maxStreamIdleMs: 1_000, acceptTimeoutMs: 60_000 });
    clock.advance(30_000);
    expect(relay.counts.offers).toBe(1);
  });

  test("looks at nothing where no limit is set, or no stream is left", () => {
    const none = newRelay();
    none.relay.listen("room", false);
    expect(live({}).clock.timers).toBe(0);
    const { clock, splice } = live({ maxStreamIdleMs: 1_000 });
    expect(clock.timers).toBe(1);
    splice.end();
    expect([none.clock.timers, clock.timers]).toEqual([0, 0]);
  });
});
