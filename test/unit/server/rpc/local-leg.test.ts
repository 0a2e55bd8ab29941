import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { envelope } from "../../../../leg/envelope.js";
import type { LegMethod, Open } from "../../../../leg/leg-call.js";
import { Parts } from "../../../../leg/parts.js";
import type { Caller, Claims } from "../../../../server/admission/caller.js";
import type { RelayLimits } from "../../../../server/admission/limits.js";
import { localLegCaller } from "../../../../server/rpc/leg/local-leg.js";
import { rawCodec } from "../../../../stream/codec.js";
import { openStream } from "../../../../web/api/stream-client.js";
import { setTransportFacts } from "../../../../web/transport/transport-facts.js";
import { LegEndpoint } from "../../../fakes/endpoint/leg-endpoint.js";
import { dataFrame, frame } from "../../../fakes/frames.js";
import { rejection, settled } from "../../../fakes/outcome.js";
import { callBroke, comeBack, Listening, leaseEvents, newRelay, relayed, resumes } from "../../../fakes/relays.js";

const { DRAINING, FRAME_TOO_LARGE, LEG_LOST, LIMIT_REACHED } = Failure;
const { NAME_INVALID, NO_SUCH_NAME, NOT_PERMITTED, PEER_CANCELED, PROTOCOL_VIOLATION, TOKEN_INVALID } = Failure;
const nothing = { leases: 1, offers: 0, streams: 0, legs: 0 };
const maxInboxBytes = 262_144;

/** A client in the relay's process, whose offer waits. */
function offered(limits: Partial<RelayLimits> = {}) {
  const { relay, clock } = newRelay(limits);
  const { lease } = relay.listen("room", false);
  const events = leaseEvents(lease);
  const endpoint = new LegEndpoint(localLegCaller(relay));
  /** The listener's leg, which came over a network. */
  async function acceptLeg() {
    await settled();
    const [event] = events;
    if (event?.kind !== "offer") throw new Error("nothing was offered");
    return relay.accept(event.offer.id, relay.offerToken(event.offer), undefined);
  }
  return { relay, clock, endpoint, acceptLeg };
}

/** A client in the relay's process, and the leg of its listener. */
async function accepted(roomFrames?: number, limits?: Partial<RelayLimits>) {
  const test = offered(limits);
  const leg = await test.acceptLeg();
  const listener = new Listening(leg, roomFrames);
  await settled();
  expect(test.endpoint.heard.splice(0)).toEqual(["opened", "accepted"]);
  return { ...test, leg, listener };
}

const data = new Uint8Array(10);
const fin = (sequence: number) => frame({ sequence: BigInt(sequence), fin: true });

describe("LocalLeg.send", () => {
  test("hands frames to the peer, with bytes that the application may modify and transfer at once", async () => {
    const { endpoint, acceptLeg } = offered();
    const written = [new Uint8Array(10).fill(7), new Uint8Array(10_000).fill(7)];
    endpoint.call.send(dataFrame(1, ...written.map((bytes) => ({ data: bytes }))));
    for (const bytes of written) bytes.fill(8);
    for (const { buffer } of written) structuredClone(buffer, { transfer: [buffer] });
    const listener = new Listening(await acceptLeg());
    expect(listener.frames[0]?.messages.map((message) => message.data)).toEqual([
      new Uint8Array(10).fill(7),
      new Uint8Array(10_000).fill(7),
    ]);
  });

  test("returns false for a frame that waits for the peer, and onDrain comes once when the peer has taken it", async () => {
    const { endpoint, acceptLeg } = offered();
    expect(endpoint.call.send(dataFrame(1, { data }))).toBe(false);
    await settled();
    expect(endpoint.heard).toEqual(["opened"]);
    const leg = await acceptLeg();
    const listener = new Listening(leg);
    expect(endpoint.drains).toBe(0);
    await settled();
    expect(endpoint.drains).toBe(1);
    expect(endpoint.call.send(dataFrame(2, { data }))).toBe(true);
    expect(listener.frames.map(({ sequence }) => sequence)).toEqual([1, 2]);
  });

  test("ends both legs at a frame over the limit, which is not passed on", async () => {
    const { relay, endpoint, listener } = await accepted();
    endpoint.call.send(dataFrame(1, { data: new Uint8Array(relay.limits.maxFrameBytes - 15) }));
    await settled();
    expect(endpoint.ends).toEqual([expect.objectContaining({ failure: FRAME_TOO_LARGE })]);
    expect(listener.end).toMatchObject({ failure: LEG_LOST });
    expect(listener.frames).toEqual([]);
    expect(relay.counts).toEqual(nothing);
  });

  test("hands on a frame as large as the limit", async () => {
    const { relay, endpoint, listener } = await accepted();
    endpoint.call.send(dataFrame(1, { data: new Uint8Array(relay.limits.maxFrameBytes - 16) }));
    expect([listener.frames.length, listener.end]).toEqual([1, "open"]);
  });
});

describe("LocalLeg.end", () => {
  test("after fin of both sides ends both legs well", async () => {
    const { relay, clock, endpoint, leg, listener } = await accepted();
    endpoint.call.send(fin(1));
    endpoint.call.end();
    leg.put(relayed(fin(1)));
    leg.endRequest();
    await settled();
    expect(endpoint.heard).toEqual(["frame 1"]);
    expect([endpoint.ends, listener.end]).toEqual([[undefined], "well"]);
    expect(relay.counts).toEqual(nothing);
    expect(clock.timers).toBe(0);
  });

  test("before fin breaks a rule", async () => {
    const { relay, endpoint, listener } = await accepted();
    endpoint.call.end();
    await settled();
    expect(endpoint.ends).toEqual([expect.objectContaining({ failure: PROTOCOL_VIOLATION })]);
    expect(listener.end).toMatchObject({ failure: LEG_LOST });
    expect(relay.counts).toEqual(nothing);
  });
});

describe("LocalLeg.cancel", () => {
  test("is heard by the peer, and ends the leg without the frames that wait", async () => {
    const { relay, endpoint, leg, listener } = await accepted(1);
    endpoint.call.pause();
    expect([1, 2].map((sequence) => leg.put(relayed(dataFrame(sequence, { data }))))).toEqual([true, false]);
    expect([1, 2].map((sequence) => endpoint.call.send(dataFrame(sequence, { data })))).toEqual([true, false]);
    listener.drain();
    endpoint.call.cancel();
    expect(listener.end).toMatchObject({ failure: PEER_CANCELED });
    await settled();
    expect([endpoint.heard, endpoint.drains]).toEqual([[], 0]);
    expect(endpoint.ends).toEqual([expect.objectContaining({ code: Code.Canceled })]);
    expect(relay.counts).toEqual(nothing);
  });

  test("withdraws an offer that waits", async () => {
    const { relay, clock, endpoint } = offered();
    endpoint.call.cancel();
    endpoint.call.cancel();
    await settled();
    expect(endpoint.heard).toEqual([]);
    expect(endpoint.ends).toEqual([expect.objectContaining({ code: Code.Canceled })]);
    expect(relay.counts).toEqual(nothing);
    expect(clock.timers).toBe(0);
  });

  test("ends a leg whose end waits for a paused endpoint", async () => {
    const { relay, endpoint, leg } = await accepted();
    endpoint.call.pause();
    leg.put(relayed(frame({ reset: { code: Code.Aborted } })));
    await settled();
    expect([endpoint.ends, relay.counts.legs]).toEqual([[], 1]);
    endpoint.call.cancel();
    await settled();
    expect(endpoint.ends).toEqual([expect.objectContaining({ code: Code.Canceled })]);
    expect(relay.counts).toEqual(nothing);
    endpoint.call.cancel();
    expect(endpoint.call.send(dataFrame(1, { data }))).toBe(true);
    endpoint.call.end();
    endpoint.call.resume();
    await settled();
    expect([endpoint.heard, endpoint.ends.length]).toEqual([[], 1]);
  });
});

describe("LocalLeg.pause", () => {
  test("stops the frames and the end behind them until resume, each time", async () => {
    const { endpoint, leg, listener, relay } = await accepted();
    endpoint.pausesAtFrames = true;
    for (const sequence of [1, 2]) leg.put(relayed(dataFrame(sequence, { data })));
    leg.put(relayed(frame({ reset: { code: Code.Aborted, reason: "enough" } })));
    for (const sequence of [1, 2, 0]) {
      await settled();
      expect(endpoint.heard.splice(0)).toEqual([`frame ${sequence}`]);
      expect([endpoint.ends, relay.counts.legs]).toEqual([[], 1]);
      endpoint.call.resume();
    }
    await settled();
    expect(endpoint.frames[2]?.reset).toMatchObject({ code: Code.Aborted, reason: "enough" });
    expect([endpoint.ends, listener.end]).toEqual([[undefined], "well"]);
    expect(relay.counts).toEqual(nothing);
  });

  test("holds the peer back after one more frame, and resume lets it go on", async () => {
    const { endpoint, leg, listener } = await accepted();
    endpoint.call.pause();
    expect([1, 2].map((sequence) => leg.put(relayed(dataFrame(sequence, { data }))))).toEqual([true, false]);
    await settled();
    expect([endpoint.heard, listener.goneOn]).toEqual([[], 0]);
    endpoint.call.resume();
    await settled();
    expect([endpoint.heard, listener.goneOn]).toEqual([["frame 1", "frame 2"], 1]);
  });
});

describe("LocalLeg", () => {
  test.each<[string, Failure, Open, LegMethod?]>([
    ["a name that nobody listens on", NO_SUCH_NAME, { name: "other" }],
    ["an empty name", NAME_INVALID, { name: "" }],
    ["metadata that is too large", FRAME_TOO_LARGE, { name: "room", metadata: { a: "x".repeat(8_192) } }],
    ["an Open that resumes without a token", TOKEN_INVALID, { name: "room", resume: {} }],
    ["a token that is none", TOKEN_INVALID, { streamId: "s", legToken: "t" }, "accept"],
  ])("refuses %s in a turn of its own, and leaves nothing behind", async (_what, failure, open, method) => {
    const { relay, clock } = newRelay();
    relay.listen("room", false);
    const endpoint = new LegEndpoint(localLegCaller(relay), open, method);
    expect(endpoint.ends).toEqual([]);
    await settled();
    expect(endpoint.ends).toEqual([expect.objectContaining({ failure })]);
    expect(endpoint.heard).toEqual([]);
    expect(relay.counts).toEqual(nothing);
    expect(clock.timers).toBe(0);
  });

  test("is the leg of the caller that was let in, and ends with its grant", async () => {
    const { relay } = newRelay();
    const { lease } = relay.listen("room", false);
    const events = leaseEvents(lease);
    const rest = { name: "", meta: {}, issuedAtMs: 0, expiresAtMs: undefined, cut: false, tokenId: "" };
    const claims: Claims = { ...rest, subject: "ann" };
    const caller: Caller = { origin: "https://a.example", address: "192.0.2.1", door: "gateway", claims };
    const endpoint = new LegEndpoint(localLegCaller(relay, { caller, metadata: { by: "policy" } }));
    await settled();
    const [event] = events;
    const { metadata, caller: told } = event?.kind === "offer" ? event.offer.facts : {};
    expect(metadata).toEqual({ by: "policy" });
    expect(told).toMatchObject({ origin: "https://a.example", subject: "ann" });
    expect([...relay.streams].map(({ client }) => client.leg?.caller)).toEqual([caller]);
    expect(relay.admission.grants.revoke({ sub: "ann" })).toBe(1);
    await settled();
    expect(endpoint.ends).toEqual([expect.objectContaining({ failure: NOT_PERMITTED })]);
  });

  test("has the byte rate of the caller that was let in, and goes on when its peer has room as well", async () => {
    const { relay, clock } = newRelay({ maxBytesPerSecondPerCaller: 1_000 });
    const { lease } = relay.listen("room", false);
    const events = leaseEvents(lease);
    const caller: Caller = { origin: "", address: "192.0.2.1", door: "gateway" };
    const endpoint = new LegEndpoint(localLegCaller(relay, { caller, metadata: {} }));
    await settled();
    const [event] = events;
    if (event?.kind !== "offer") throw new Error("nothing was offered");
    const listener = new Listening(relay.accept(event.offer.id, relay.offerToken(event.offer), undefined));
    await settled();
    expect(endpoint.call.send(dataFrame(1, { data: new Uint8Array(1_500) }))).toBe(false);
    expect(listener.frames).toHaveLength(1);
    clock.advance(400);
    await settled();
    expect(endpoint.drains).toBe(0);
    clock.advance(400);
    await settled();
    expect(endpoint.drains).toBe(1);
    endpoint.call.cancel();
    await settled();
  });

  test("counts until its endpoint has heard the end, and so is refused where too many have not", async () => {
    const { relay } = newRelay({ maxStreams: 1 });
    const endpoints: LegEndpoint[] = [];
    for (let legs = 0; legs < 5; legs += 1) {
      const { lease } = relay.listen("room", false);
      const endpoint = new LegEndpoint(localLegCaller(relay));
      if (legs < 4) endpoint.call.pause();
      endpoints.push(endpoint);
      lease.end("lost");
    }
    await settled();
    expect(relay.counts).toEqual({ leases: 0, offers: 0, streams: 0, legs: 4 });
    expect(endpoints[4]?.ends).toEqual([expect.objectContaining({ failure: LIMIT_REACHED })]);
    for (const { call } of endpoints) call.resume();
    await settled();
    expect(relay.counts.legs).toBe(0);
  });

  test("ends with FAILURE_DRAINING when the relay closes, behind the frames before, and is refused afterwards", async () => {
    const { relay, endpoint, leg } = await accepted();
    leg.put(relayed(dataFrame(1, { data })));
    relay.close();
    const late = new LegEndpoint(localLegCaller(relay));
    await settled();
    expect(endpoint.heard).toEqual(["frame 1"]);
    for (const { ends } of [endpoint, late]) expect(ends).toEqual([expect.objectContaining({ failure: DRAINING })]);
    expect(relay.counts).toEqual({ ...nothing, leases: 0 });
  });

  test("takes 256 KiB of frames in a turn, and the rest in the turns that follow", async () => {
    const { endpoint, leg, listener } = await accepted();
    const bytes = maxInboxBytes / 4;
    const taken = [1, 2, 3, 4, 5].map((sequence) =>
      leg.put(relayed(dataFrame(sequence, { data: new Uint8Array(bytes) }))),
    );
    expect(taken).toEqual([true, true, true, true, false]);
    await settled();
    expect(endpoint.heard).toEqual([1, 2, 3, 4, 5].map((sequence) => `frame ${sequence}`));
    expect(listener.goneOn).toBe(1);
    expect([6, 7].map((sequence) => leg.put(relayed(dataFrame(sequence, { data }))))).toEqual([true, true]);
  });

  test("has received data in memory of its own, which no frame of another stream shares", async () => {
    const { endpoint, leg } = await accepted();
    const sent = relayed(dataFrame(1, { data: new Uint8Array(5_000).fill(7) }));
    const chunk = new Uint8Array(65_536);
    sent.envelope.copyTo(chunk, 100);
    const part = chunk.subarray(100, 100 + sent.envelope.byteLength);
    leg.put({ ...sent, envelope: new Parts([part]) });
    chunk.fill(8);
    await settled();
    const [message] = endpoint.frames[0]?.messages ?? [];
    expect(message?.data).toEqual(new Uint8Array(5_000).fill(7));
    expect(message?.data.buffer).not.toBe(chunk.buffer);
  });

  test("ends with an error at bytes that are no frame, and is lost for the peer", async () => {
    const { relay, endpoint, leg, listener } = await accepted();
    const bytes = new Parts([envelope(0, new Uint8Array([255, 255, 255]))]);
    leg.put({ sequence: 0, ack: 0, credit: 0, costBytes: 0, fin: false, reset: false, envelope: bytes });
    await settled();
    expect(endpoint.ends).toEqual([expect.objectContaining({ code: Code.Internal })]);
    expect(listener.end).toMatchObject({ failure: LEG_LOST });
    expect(relay.counts).toEqual(nothing);
  });

  test("carries frames between two endpoints of the process, which share no memory", async () => {
    const { relay } = newRelay();
    const events = leaseEvents(relay.listen("room", false).lease);
    const client = new LegEndpoint(localLegCaller(relay));
    await settled();
    const [event] = events;
    if (event?.kind !== "offer") throw new Error("nothing was offered");
    const open = { streamId: event.offer.id, legToken: relay.offerToken(event.offer) };
    const listener = new LegEndpoint(localLegCaller(relay), open, "accept");
    await settled();
    expect([client.heard, listener.heard]).toEqual([["opened", "accepted"], ["opened"]]);
    const written = new Uint8Array(100_000).fill(7);
    listener.call.send(dataFrame(1, { data: written.subarray(0, 50_000) }));
    written.fill(8);
    await settled();
    expect(client.frames[0]?.messages[0]?.data).toEqual(new Uint8Array(50_000).fill(7));
    client.call.cancel();
    await settled();
    expect(listener.ends).toEqual([expect.objectContaining({ failure: PEER_CANCELED })]);
    expect(relay.counts).toEqual(nothing);
  });
});

describe("LocalLeg.heldBytes", () => {
  test("counts the frames that wait for a paused endpoint", async () => {
    const { relay, endpoint, leg } = await accepted();
    endpoint.call.pause();
    const relayedFrame = relayed(dataFrame(1, { data }));
    leg.put(relayedFrame);
    expect(relay.admission.heldBytes.bytes).toBe(relayedFrame.envelope.byteLength);
    endpoint.call.resume();
    await settled();
    expect(relay.admission.heldBytes.bytes).toBe(0);
  });

  test("beyond the limit are dropped with their stream, and the endpoint is told", async () => {
    const { relay, clock, endpoint, leg, listener } = await accepted(undefined, { maxHeldBytes: 10 });
    endpoint.call.pause();
    leg.put(relayed(dataFrame(1, { data })));
    endpoint.call.send(dataFrame(1, { data }));
    clock.advance(0);
    // The peer of an endpoint in this process need not come back.
    expect([listener.end, relay.admission.heldBytes.bytes]).toMatchObject([{ failure: LEG_LOST }, 0]);
    await settled();
    const limit = { name: "maxHeldBytes", value: 10 };
    expect([endpoint.frames, endpoint.ends]).toMatchObject([[], [{ failure: LIMIT_REACHED, limit }]]);
    expect(relay.counts).toEqual(nothing);
  });
});

describe("LocalLeg of an endpoint that resumes", () => {
  async function paired() {
    const { relay, clock } = newRelay();
    const events = leaseEvents(relay.listen("room", false).lease);
    const endpoint = new LegEndpoint(localLegCaller(relay), { name: "room", capabilities: resumes });
    await settled();
    const [event] = events;
    if (event?.kind !== "offer") throw new Error("nothing was offered");
    const streamId = event.offer.id;
    const half = relay.accept(streamId, relay.legToken("listener", streamId), resumes);
    const listener = new Listening(half);
    await settled();
    endpoint.heard.length = 0;
    return { relay, clock, endpoint, half, listener, streamId };
  }

  test("hears that its peer has gone and come back, behind the frames before", async () => {
    const { relay, endpoint, half, streamId } = await paired();
    half.put(relayed(dataFrame(1, { data })));
    half.lose(callBroke());
    comeBack(relay, "listener", streamId, { receivedSequence: 3 });
    expect(endpoint.heard).toEqual([]);
    await settled();
    expect(endpoint.heard).toEqual(["frame 1", "suspended 120000", "resumed 3"]);
  });

  test("hears the newest news alone if it is paused meanwhile", async () => {
    const { relay, endpoint, half, streamId } = await paired();
    endpoint.call.pause();
    for (const generation of [1, 2, 3]) {
      half.lose(callBroke());
      comeBack(relay, "listener", streamId, { generation, receivedSequence: generation });
    }
    endpoint.call.resume();
    await settled();
    expect(endpoint.heard).toEqual(["suspended 120000", "resumed 3"]);
  });

  test("cancels for good, because nothing between it and the relay can break", async () => {
    const { relay, clock, endpoint, listener } = await paired();
    endpoint.call.cancel();
    await settled();
    expect(listener.end).toMatchObject({ failure: PEER_CANCELED });
    expect([relay.counts, clock.timers]).toEqual([nothing, 0]);
  });
});

describe("a stream on a LocalLeg", () => {
  /** A stream of the relay's process, and its listener, which resumes. */
  async function opened() {
    const { relay, clock } = newRelay();
    const { lease } = relay.listen("room", false);
    const events = leaseEvents(lease);
    const transport = { unary: notCalled, stream: notCalled };
    setTransportFacts(transport, { kind: () => "native", callLeg: localLegCaller(relay), isLocal: true });
    const stream = openStream({
      name: "room",
      codec: rawCodec,
      transport: async () => transport,
      clock: relay.clock,
      onUnheard: () => {},
    });
    await settled();
    const [event] = events;
    if (event?.kind !== "offer") throw new Error("nothing was offered");
    const leg = relay.accept(event.offer.id, relay.offerToken(event.offer), resumes);
    const listener = new Listening(leg);
    await stream.opened;
    return { relay, clock, stream, leg, listener };
  }

  test("has its callbacks called outside of the relay, so that they may close it in the middle of a frame", async () => {
    const { relay, stream, leg, listener } = await opened();
    let place: "outside" | "in the relay" = "outside";
    const places: string[] = [];
    stream.on("data", () => {
      places.push(place);
      relay.close();
    });
    await settled();
    place = "in the relay";
    for (const sequence of [1, 2]) leg.put(relayed(dataFrame(sequence, { data })));
    place = "outside";
    expect(await rejection(stream.closed)).toMatchObject({ failure: DRAINING });
    expect(places[0]).toBe("outside");
    // The listener would wait in vain at another relay.
    expect(listener.end).toMatchObject({ failure: LEG_LOST, hop: Hop.PEER });
    expect(relay.counts).toEqual({ ...nothing, leases: 0 });
  });

  test("goes on at a draining relay, which its listener is not told to leave", async () => {
    const { relay, clock, stream, leg, listener } = await opened();
    relay.drain(10_000);
    clock.advance(9_000);
    stream.resume().end();
    await settled();
    leg.put(relayed(frame({ sequence: 1n, fin: true, ack: 1n })));
    leg.endRequest();
    await stream.closed;
    await settled();
    expect(new Set(listener.heard)).toEqual(new Set(["frame"]));
    expect(listener.end).toBe("well");
    expect(clock.timers).toBe(0);
  });
});

function notCalled(): never {
  throw new Error("no RPC is called");
}
