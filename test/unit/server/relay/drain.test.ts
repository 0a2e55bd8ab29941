import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import type { Splice } from "../../../../server/relay/stream/splice.js";
import { frame } from "../../../fakes/frames.js";
import { thrown } from "../../../fakes/outcome.js";
import {
  callBroke,
  comeBack,
  connect,
  Listening,
  newRelay,
  noFacts,
  offeredStream,
  relayed,
  resumes,
  someCaller,
  type TestRelay,
} from "../../../fakes/relays.js";

/** Whether a promise is settled, once all that is due has run. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  void promise.finally(() => {
    settled = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe("Relay.drain", () => {
  test("refuses new names and streams, and lets the listener take the offer that it has", () => {
    const { relay, splice } = offeredStream();
    const error = relay.drain(10_000);
    expect(thrown(() => relay.listen("other", false)).failure).toBe(Failure.DRAINING);
    expect(thrown(() => connect(relay)).failure).toBe(Failure.DRAINING);
    expect(relay.accept(splice.id, relay.offerToken(splice), undefined)).toBe(splice.listener);
    expect([relay.isOpen, relay.closed, relay.counts.streams]).toEqual([false, undefined, 1]);
    relay.close();
    expect(relay.closed).toBe(error);
  });
});

describe("Relay.drain with streams that can be resumed", () => {
  /** Streams with legs for both endpoints, of which each has the words that it hears. */
  function streams(count: number) {
    const test = newRelay();
    test.relay.listen("room", false);
    const legs = Array.from({ length: count }, () => {
      const { splice } = test.relay.connect("room", { ...noFacts, capabilities: resumes });
      const client = new Listening(splice.client);
      return { splice, client, listener: new Listening(test.relay.accept(splice.id, tokenOf(test, splice), resumes)) };
    });
    return { ...test, legs };
  }
  const tokenOf = ({ relay }: TestRelay, splice: Splice) => relay.offerToken(splice);
  const told = ({ heard }: Listening) => heard.filter((word) => word.startsWith("draining")).length;

  test("tells the two endpoints of a stream together, and the streams one after the other", () => {
    const { relay, clock, legs } = streams(10);
    relay.drain(10_000);
    const counts = [];
    for (let ms = 0; ms < 5_000; ms += 1_000) {
      clock.advance(1_000);
      const news = legs.map(({ client, listener }) => [told(client), told(listener)]);
      for (const [client, listener] of news) expect(client).toBe(listener);
      counts.push(news.filter(([client]) => client === 1).length);
    }
    expect(counts).toEqual([2, 4, 6, 8, 10]);
    expect(legs[9]?.listener.heard).toEqual(["draining 5000"]);
    expect(clock.timers).toBe(0);
  });

  test("tells a listener that accepts later, and no endpoint of a stream that cannot be resumed", () => {
    const { relay, clock } = streams(0);
    const offered = relay.connect("room", { ...noFacts, capabilities: resumes }).splice;
    const simple = connect(relay);
    const clients = [new Listening(offered.client), new Listening(simple.client)];
    relay.drain(10_000);
    clock.advance(5_000);
    const later = new Listening(relay.accept(offered.id, relay.offerToken(offered), resumes));
    new Listening(relay.accept(simple.id, relay.offerToken(simple), resumes));
    expect([...clients, later].map(told)).toEqual([1, 0, 1]);
  });

  test("lets an endpoint that leaves go, tells its peer, and is idle when that has left as well", async () => {
    const { relay, clock, legs } = streams(1);
    const [stream] = legs;
    if (stream === undefined) throw new Error("no stream");
    relay.drain(10_000);
    const idle = relay.idle(5_000);
    stream.splice.client.lose(callBroke());
    expect(stream.listener.heard.at(-1)).toBe("suspended 120000");
    expect([await isSettled(idle), relay.counts.streams]).toEqual([false, 1]);
    expect(thrown(() => comeBack(relay, "client", stream.splice.id)).failure).toBe(Failure.DRAINING);
    stream.splice.listener.lose(callBroke());
    expect([await isSettled(idle), relay.counts.streams]).toEqual([true, 0]);
    relay.close();
    expect(clock.timers).toBe(0);
  });

  test("waits for no endpoint that is away already, or is owed its end", async () => {
    const { relay, legs } = streams(2);
    const [away, ended] = legs;
    for (const half of [away?.splice.client, away?.splice.listener, ended?.splice.client]) half?.lose(callBroke());
    ended?.splice.listener.put(relayed(frame({ reset: { code: 10 } })));
    relay.drain(10_000);
    expect(relay.counts.streams).toBe(0);
    expect(await isSettled(relay.idle(5_000))).toBe(true);
  });
});

describe("Relay.idle", () => {
  test("waits for streams, and for legs that outlive them", async () => {
    const { relay, splice } = offeredStream();
    const leg = relay.admission.hold(someCaller, { kind: "leg" });
    relay.drain(10_000);
    const idle = relay.idle(5_000);
    splice.end();
    expect(await isSettled(idle)).toBe(false);
    leg.release();
    expect(await isSettled(idle)).toBe(true);
  });

  test("waits a while for legs that have ended and that nobody reads to the end", async () => {
    const { relay, clock } = newRelay();
    const leg = relay.admission.hold(someCaller, { kind: "leg" });
    relay.drain(10_000);
    const idle = relay.idle(5_000);
    clock.advance(5_000);
    relay.admission.hold(someCaller, { kind: "ended leg" }, leg);
    expect(await isSettled(idle)).toBe(false);
    clock.advance(4_999);
    expect(await isSettled(idle)).toBe(false);
    clock.advance(1);
    expect(await isSettled(idle)).toBe(true);
  });

  test("waits no more when the relay is closed", async () => {
    const { relay } = offeredStream();
    relay.admission.hold(someCaller, { kind: "leg" });
    relay.drain(10_000);
    const idle = relay.idle(5_000);
    relay.close();
    expect(await isSettled(idle)).toBe(true);
  });
});
