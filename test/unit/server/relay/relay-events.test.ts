import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { OpenSchema } from "../../../../gen/streamserver/v1/relay_pb.js";
import type { Relay } from "../../../../server/relay/relay.js";
import type { RelayEvent } from "../../../../server/relay/relay-events.js";
import { framesPerSample } from "../../../../server/relay/stream/half.js";
import type { StreamEnd } from "../../../../server/relay/stream/stream-end.js";
import { TokenSigner } from "../../../../server/relay/token.js";
import { minTokenKeyBytes } from "../../../../server/relay/token-keys.js";
import { acceptRpc, connectRpc } from "../../../../server/rpc/leg/leg-rpc.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { dataFrame, frame } from "../../../fakes/frames.js";
import {
  callBroke,
  comeBack,
  Listening,
  newRelay,
  offeredStream,
  relayed,
  resumableStream,
  someCaller,
  splicedStream,
} from "../../../fakes/relays.js";

const data = new Uint8Array(10);

function eventsOf({ events }: Relay): RelayEvent[] {
  const told: RelayEvent[] = [];
  events.observe((event) => told.push(event));
  return told;
}

function kindsOf(relay: Relay): string[] {
  const kinds: string[] = [];
  relay.events.observe((event) => kinds.push(event.kind === "lease" ? `lease ${event.change.kind}` : event.kind));
  return kinds;
}

function endOf(told: readonly RelayEvent[]): StreamEnd {
  const [ended, ...more] = told.filter((event) => event.kind === "stream ended");
  if (ended === undefined || more.length > 0) throw new Error(`${more.length} more ends`);
  return ended.end;
}

describe("RelayEvents", () => {
  test("tell of a lease, an offer, its acceptance and the end, once each", () => {
    const { relay } = newRelay();
    const kinds = kindsOf(relay);
    const { lease, call } = relay.listen("room", false);
    const { splice } = relay.connect("room", { metadata: {} });
    relay.accept(splice.id, relay.offerToken(splice), undefined);
    for (const half of [splice.client, splice.listener]) {
      new Listening(half);
      half.put(relayed(frame({ fin: true, sequence: 1n })));
    }
    for (const half of [splice.client, splice.listener]) half.endRequest();
    lease.leave(call, "canceled");
    expect(kinds.filter((kind) => kind !== "frame relayed")).toEqual([
      "lease created",
      "stream offered",
      "stream accepted",
      "stream ended",
      "lease destroyed",
    ]);
  });

  test("tell nothing more to an observer that has stopped", () => {
    const { relay } = newRelay();
    const told: RelayEvent[] = [];
    const stop = relay.events.observe((event) => told.push(event));
    stop();
    relay.listen("room", false);
    expect(told).toEqual([]);
  });

  test("tell how long an offer waited, and who claimed a name", () => {
    const { relay, clock } = newRelay();
    const told = eventsOf(relay);
    relay.listen("room", false, { caller: someCaller });
    const { splice } = relay.connect("room", { metadata: {} });
    clock.advance(300);
    relay.accept(splice.id, relay.offerToken(splice), undefined);
    expect(told).toMatchObject([
      { change: { lease: { caller: someCaller } } },
      { stream: { name: "room" } },
      { kind: "stream accepted", waitedMs: 300 },
    ]);
  });

  test("tell that an endpoint is away, and that it is back", () => {
    const { relay, splice, client } = resumableStream();
    for (const half of [client, splice.listener]) new Listening(half);
    const told = eventsOf(relay);
    expect(relay.suspended.streams).toBe(0);
    client.lose(callBroke());
    expect(relay.suspended.streams).toBe(1);
    comeBack(relay, "client", splice.id);
    expect(relay.suspended.streams).toBe(0);
    expect(told).toMatchObject([
      { kind: "stream suspended", role: "client" },
      { kind: "stream resumed", role: "client" },
    ]);
  });

  test("tell of a stream that was accepted in another process", () => {
    const keys = [Buffer.alloc(minTokenKeyBytes)] as const;
    const { relay, splice } = resumableStream({}, new TokenSigner(keys));
    const after = newRelay({}, new TokenSigner(keys));
    const told = eventsOf(after.relay);
    comeBack(after.relay, "listener", splice.id, { legToken: relay.legToken("listener", splice.id) });
    expect(told[0]).toMatchObject({ kind: "stream adopted", role: "listener" });
  });
});

describe("StreamEnd", () => {
  test("is no failure where both endpoints have finished", () => {
    const { relay, client, listener } = splicedStream();
    const told = eventsOf(relay);
    for (const half of [client, listener]) {
      new Listening(half);
      half.put(relayed(frame({ fin: true, sequence: 1n })));
    }
    for (const half of [client, listener]) half.endRequest();
    expect(endOf(told)).toEqual({ hop: undefined, failure: Failure.UNSPECIFIED, code: undefined, reason: undefined });
  });

  test.each(["client", "listener"] as const)("has the code of a reset by the %s, and not its words", (role) => {
    const paired = splicedStream();
    const told = eventsOf(paired.relay);
    for (const half of [paired.client, paired.listener]) new Listening(half);
    paired[role].put(relayed(frame({ reset: { code: Code.Aborted, reason: "a secret" } })));
    expect(endOf(told)).toEqual({ hop: role, failure: Failure.UNSPECIFIED, code: Code.Aborted, reason: undefined });
  });

  test.each(["client", "listener"] as const)("names the %s whose leg failed, and why", (role) => {
    const paired = splicedStream();
    const told = eventsOf(paired.relay);
    paired[role].fail(new StreamError("broken", { failure: Failure.LEG_LOST }));
    expect(endOf(told)).toMatchObject({
      hop: role,
      failure: Failure.LEG_LOST,
      code: Code.Unavailable,
      reason: "broken",
    });
  });

  test("names the listener that declines, and not its words", () => {
    const { relay, splice } = offeredStream();
    const told = eventsOf(relay);
    const end = { code: Code.PermissionDenied, reason: "a secret" };
    relay.reject(splice.id, relay.offerToken(splice), end);
    expect(endOf(told)).toMatchObject({
      hop: "listener",
      failure: Failure.DECLINED,
      code: end.code,
      reason: undefined,
    });
  });

  test("names the listener that does not accept in time, and the relay that closes", () => {
    const late = offeredStream({ acceptTimeoutMs: 100 });
    const told = eventsOf(late.relay);
    late.clock.advance(100);
    expect(endOf(told)).toMatchObject({ hop: "listener", failure: Failure.NOT_ACCEPTED_IN_TIME });
    const closed = splicedStream();
    const toldAtClose = eventsOf(closed.relay);
    closed.relay.close();
    expect(endOf(toldAtClose)).toMatchObject({ hop: "relay", failure: Failure.DRAINING });
  });
});

describe("Half", () => {
  test("counts the bytes of its endpoint, of streams that are over too", () => {
    const { relay, client, listener } = splicedStream();
    for (const half of [client, listener]) new Listening(half);
    const [small, large] = [relayed(dataFrame(1, { data })), relayed(dataFrame(1, { data: new Uint8Array(500) }))];
    client.put(small);
    listener.put(large);
    const bytes = { client: small.envelope.byteLength, listener: large.envelope.byteLength };
    expect(relay.bytes).toEqual(bytes);
    client.fail(callBroke());
    expect([relay.counts.streams, relay.bytes]).toEqual([0, bytes]);
  });

  test("times one of many frames, until the peer's carrier has it", () => {
    const { relay, clock, client, listener } = splicedStream();
    const slow = new Listening(listener, 1);
    new Listening(client);
    const told = eventsOf(relay);
    const put = (sequence: number) => client.put(relayed(dataFrame(sequence, { data })));
    put(1);
    expect(told).toEqual([{ kind: "frame relayed", latencyMs: 0 }]);
    for (let sequence = 2; sequence <= framesPerSample; sequence += 1) {
      slow.drain();
      put(sequence);
    }
    expect(told).toHaveLength(1);
    // The listener has no room, so the next frame waits in the relay.
    put(framesPerSample + 1);
    clock.advance(40);
    slow.drain();
    expect(told.slice(1)).toEqual([{ kind: "frame relayed", latencyMs: 40 }]);
  });

  test.each([
    ["came before it went", (put: () => void, lose: () => void) => [put(), lose()]],
    ["came since", (put: () => void, lose: () => void) => [lose(), put()]],
  ])("times no frame that waits for an endpoint that is away, and %s", (_, inOrder) => {
    const { relay, clock, splice, client } = resumableStream();
    new Listening(client);
    const slow = new Listening(splice.listener, 1);
    const put = (sequence: number) => client.put(relayed(dataFrame(sequence, { data })));
    for (let sequence = 1; sequence <= framesPerSample; sequence += 1) {
      put(sequence);
      if (sequence < framesPerSample) slow.drain();
    }
    const told = eventsOf(relay);
    // The listener has no room, and the next frame is one that is timed.
    inOrder(
      () => put(framesPerSample + 1),
      () => splice.listener.lose(callBroke()),
    );
    clock.advance(5_000);
    comeBack(relay, "listener", splice.id);
    expect(told.filter(({ kind }) => kind === "frame relayed")).toEqual([]);
  });
});

describe("Refusal", () => {
  test("is told of a leg, with its caller and name, and thrown all the same", () => {
    const { relay } = newRelay();
    const told = eventsOf(relay);
    const admitted = { caller: someCaller, metadata: {} };
    expect(() => connectRpc.attach(relay, create(OpenSchema, { name: "room" }), admitted)).toThrow(StreamError);
    expect(() => acceptRpc.attach(relay, create(OpenSchema, { streamId: "x" }), admitted)).toThrow(StreamError);
    expect(told).toMatchObject([
      { kind: "refused", call: "connect", name: "room", caller: someCaller, error: { failure: Failure.NO_SUCH_NAME } },
      { kind: "refused", call: "accept", streamId: "x", error: { failure: Failure.TOKEN_INVALID } },
    ]);
  });
});
