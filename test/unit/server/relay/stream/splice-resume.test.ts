import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../../gen/streamserver/v1/failure_pb.js";
import { CapabilitiesSchema, Feature } from "../../../../../gen/streamserver/v1/relay_pb.js";
import type { Role } from "../../../../../server/relay/stream/half.js";
import { StreamError } from "../../../../../stream/error/stream-error.js";
import { isLoss } from "../../../../../web/api/leg.js";
import { dataFrame, frame } from "../../../../fakes/frames.js";
import { thrown } from "../../../../fakes/outcome.js";
import {
  callBroke,
  comeBack,
  Listening,
  type Paired,
  relayed,
  resumableOffer,
  resumableStream,
  resumes,
  splicedStream,
} from "../../../../fakes/relays.js";

const roles = ["client", "listener"] as const;
const graceMs = 120_000;
const gone = { leases: 1, offers: 0, streams: 0, legs: 0 };
const data = (sequence: number) => relayed(dataFrame(sequence, { data: new Uint8Array(10) }));
const acks = (ack: number) => relayed(frame({ ack: BigInt(ack) }));
const fin = (sequence: number) => relayed(frame({ sequence: BigInt(sequence), fin: true }));
const reset = () => relayed(frame({ reset: { code: Code.Aborted, reason: "enough" } }));
const other = (role: Role): Role => (role === "client" ? "listener" : "client");

/** Legs of both endpoints. */
function legsOf(paired: Paired): Record<"client" | "listener", Listening> {
  return { client: new Listening(paired.client), listener: new Listening(paired.listener) };
}

function expectNothingLeft({ relay, clock, lease }: Paired): void {
  expect(relay.counts).toEqual(gone);
  expect([clock.timers, lease.offers]).toEqual([0, 0]);
}

describe.each(roles)("Splice, when the leg of the %s is lost,", (role) => {
  const peer = other(role);

  test("tells the peer how long it waits, and counts as a stream", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[role].lose(callBroke());
    expect([legs[peer].heard, legs[peer].end]).toEqual([[`suspended ${graceMs}`], "open"]);
    expect(paired.relay.counts).toMatchObject({ streams: 1, legs: 0 });
  });

  test("tells both endpoints what the other one has, once it is back", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[peer].put(acks(7));
    paired[role].put(acks(3));
    paired[role].lose(callBroke());
    const back = comeBack(paired.relay, role, paired.splice.id, { receivedSequence: 5 });
    expect(back.heard).toEqual(["resumed 7"]);
    expect(legs[peer].heard).toEqual(["frame", `suspended ${graceMs}`, "resumed 5"]);
    paired[peer].put(data(6));
    expect(back.heard).toEqual(["resumed 7", "frame"]);
  });

  test("knows the highest number of an ack and of a resume", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[role].put(acks(9));
    paired[role].put(acks(8));
    comeBack(paired.relay, role, paired.splice.id, { receivedSequence: 5 });
    expect(legs[peer].heard.at(-1)).toBe("resumed 9");
  });

  test("keeps a frame for it, and holds the peer back after that", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[role].lose(callBroke());
    expect(paired[peer].put(data(1))).toBe(false);
    const back = comeBack(paired.relay, role, paired.splice.id);
    expect([back.heard, legs[peer].goneOn]).toEqual([["resumed 0", "frame"], 1]);
  });

  test("drops a frame of its own that waits, because it is sent again", () => {
    const paired = resumableStream();
    const heard = new Listening(paired[peer], 1);
    new Listening(paired[role]);
    paired[role].put(data(1));
    expect(paired[role].put(data(2))).toBe(false);
    paired[role].lose(callBroke());
    comeBack(paired.relay, role, paired.splice.id);
    heard.drain();
    expect(heard.frames).toHaveLength(1);
    expect(paired[role].put(data(1))).toBe(true);
  });

  test("ends when the grace period is over, with an account for the peer", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[role].put(acks(4));
    paired[role].lose(callBroke());
    paired.clock.advance(graceMs - 1);
    expect(legs[peer].end).toBe("open");
    paired.clock.advance(1);
    expect(legs[peer].end).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.PEER, receivedSequence: 4 });
    expect(thrown(() => comeBack(paired.relay, role, paired.splice.id)).failure).toBe(Failure.STREAM_GONE);
    expectNothingLeft(paired);
  });

  test("tells an endpoint that comes back first that its peer is away, and for how long", () => {
    const paired = resumableStream();
    legsOf(paired);
    paired[role].lose(callBroke());
    paired.clock.advance(1_000);
    paired[peer].lose(callBroke());
    // A clock counts parts of milliseconds, and the wire does not.
    paired.clock.advance(1_000.25);
    const first = comeBack(paired.relay, role, paired.splice.id, { receivedSequence: 2 });
    expect(first.heard).toEqual([`suspended ${graceMs - 1_000}`]);
    const second = comeBack(paired.relay, peer, paired.splice.id, { receivedSequence: 3 });
    expect([first.heard.at(-1), second.heard]).toEqual(["resumed 3", ["resumed 2"]]);
  });

  test("tells times in whole milliseconds, as the wire has them", () => {
    const paired = resumableStream();
    legsOf(paired);
    for (const lost of roles) paired[lost].lose(callBroke());
    paired.clock.advance(0.25);
    expect(comeBack(paired.relay, role, paired.splice.id).heard).toEqual([`suspended ${graceMs}`]);
    comeBack(paired.relay, peer, paired.splice.id);
    const late = resumableOffer();
    late.relay.drain(10_000);
    late.clock.advance(5_000.25);
    late.relay.accept(late.splice.id, late.relay.offerToken(late.splice), resumes);
    expect(new Listening(late.listener).heard).toContain("draining 5000");
  });

  test("lets a newer leg take the place of an older one that looks alive", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    const newer = comeBack(paired.relay, role, paired.splice.id, { generation: 2, receivedSequence: 1 });
    expect(legs[role].end).toMatchObject({ failure: Failure.FENCED });
    expect([newer.heard, legs[peer].heard]).toEqual([["resumed 0"], ["resumed 1"]]);
    paired[peer].put(data(1));
    expect([legs[role].frames.length, newer.frames.length]).toEqual([0, 1]);
  });

  test.each([0, 1, 2])("refuses attachment %d after attachment 2, and keeps the leg", (generation) => {
    const paired = resumableStream();
    legsOf(paired);
    const newer = comeBack(paired.relay, role, paired.splice.id, { generation: 2 });
    const stale = thrown(() => comeBack(paired.relay, role, paired.splice.id, { generation }));
    expect([stale.failure, stale.code, newer.end]).toEqual([Failure.FENCED, Code.Aborted, "open"]);
  });

  test("owes it a reset of the peer, which ends at once", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[role].lose(callBroke());
    paired[peer].put(reset());
    expect(legs[peer].end).toBe("well");
    const back = comeBack(paired.relay, role, paired.splice.id);
    expect(back.heard).toEqual(["frame"]);
    expect(back.frames[0]?.reset).toMatchObject({ code: Code.Aborted, reason: "enough" });
    expect(back.end).toBe("well");
    expectNothingLeft(paired);
  });

  test("owes it a reset that waited for room when the leg was lost", () => {
    const paired = resumableStream();
    const full = new Listening(paired[role], 1);
    const sender = new Listening(paired[peer]);
    paired[peer].put(data(1));
    expect([paired[peer].put(reset()), full.frames.length]).toEqual([false, 1]);
    paired[role].lose(callBroke());
    expect(sender.end).toBe("well");
    expect(comeBack(paired.relay, role, paired.splice.id).frames[0]?.reset).toBeDefined();
    expectNothingLeft(paired);
  });

  test("owes it the end of a peer that breaks a rule, and no frame before", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[role].lose(callBroke());
    paired[peer].put(data(1));
    paired[peer].fail(new StreamError("wrong", { failure: Failure.PROTOCOL_VIOLATION }));
    expect(legs[peer].end).toMatchObject({ failure: Failure.PROTOCOL_VIOLATION });
    expect(paired.relay.counts.streams).toBe(1);
    const back = comeBack(paired.relay, role, paired.splice.id);
    expect([back.heard, back.end]).toEqual([[], expect.objectContaining({ failure: Failure.LEG_LOST })]);
    expectNothingLeft(paired);
  });

  test("owes it no more when the grace period is over", () => {
    const paired = resumableStream();
    legsOf(paired);
    paired[role].lose(callBroke());
    paired.clock.advance(graceMs / 2);
    paired[peer].put(reset());
    paired.clock.advance(graceMs / 2);
    expectNothingLeft(paired);
  });

  test("does not call it lost if both have finished and it has ended its request", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    for (const each of roles) paired[each].put(fin(1));
    paired[role].endRequest();
    paired[role].lose(callBroke());
    expect([legs[peer].heard, legs[peer].end]).toEqual([["frame"], "open"]);
    const back = comeBack(paired.relay, role, paired.splice.id);
    expect(back.end).toBe("well");
    paired[peer].endRequest();
    expect(legs[peer].end).toBe("well");
    expectNothingLeft(paired);
  });

  test.each(["frame", "Reject"])("hears of a reset by %s again, which its leg took and then lost", (how) => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    if (how === "frame") paired[peer].put(reset());
    else {
      const { relay, splice } = paired;
      relay.reject(splice.id, relay.legToken(peer, splice.id), { code: Code.Aborted, reason: "enough" });
    }
    expect([legs[role].end, legs[role].frames.length]).toEqual(["well", 1]);
    paired.relay.drain();
    for (const generation of [1, 2]) {
      const back = comeBack(paired.relay, role, paired.splice.id, { generation });
      expect([back.heard, back.end]).toEqual([["frame"], "well"]);
      expect(back.frames[0]?.reset).toMatchObject({ code: Code.Aborted, reason: "enough" });
    }
    expectNothingLeft(paired);
  });

  test("hears again why the stream ended, which its leg was told and then lost", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[peer].put(acks(4));
    paired[peer].fail(new StreamError("wrong", { failure: Failure.PROTOCOL_VIOLATION }));
    const again = thrown(() => comeBack(paired.relay, role, paired.splice.id));
    expect(again).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.PEER, receivedSequence: 4 });
    expect(legs[role].end).toMatchObject({ message: again.message });
  });

  test("answers with what the peer has had, when the stream has ended well without it", () => {
    const paired = resumableStream({ lingerTimeoutMs: 1_000 });
    legsOf(paired);
    for (const each of roles) paired[each].put(fin(1));
    paired[peer].put(acks(1));
    paired.clock.advance(1_000);
    const error = thrown(() => comeBack(paired.relay, role, paired.splice.id));
    expect(error).toMatchObject({ failure: Failure.STREAM_GONE, receivedSequence: 1 });
    expectNothingLeft(paired);
  });

  test("keeps the last ack of an endpoint that needs no other leg, and comes back all the same", () => {
    const paired = resumableStream();
    new Listening(paired[role]);
    const full = new Listening(paired[peer], 1);
    for (const each of roles) paired[each].put(fin(1));
    paired[role].put(acks(1));
    paired[role].endRequest();
    paired[role].lose(callBroke());
    expect(comeBack(paired.relay, role, paired.splice.id).end).toBe("well");
    full.drain();
    expect(full.frames.map(({ ack }) => ack)).toEqual([0, 1]);
  });

  test("lets the peer go on when it needs no other leg, and a frame waited for it", () => {
    const paired = resumableStream();
    new Listening(paired[role], 1);
    const heard = new Listening(paired[peer]);
    for (const each of roles) paired[each].put(fin(1));
    expect(paired[peer].put(acks(1))).toBe(false);
    paired[role].endRequest();
    paired[role].lose(callBroke());
    expect([heard.goneOn, paired[peer].put(acks(1))]).toEqual([1, true]);
    paired[peer].endRequest();
    expectNothingLeft(paired);
  });

  test("is not taken with capabilities that are too large", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    const capabilities = create(CapabilitiesSchema, { features: new Array<Feature>(2_000).fill(Feature.RESUME) });
    const open = { streamId: paired.splice.id, name: "", waitForListenerMs: 0, resume: { generation: 1 } };
    const legToken = paired.relay.legToken(role, paired.splice.id);
    const refused = thrown(() => paired.relay.resume(role, { ...open, legToken, capabilities }, { metadata: {} }));
    expect([refused.failure, legs[role].end]).toEqual([Failure.FRAME_TOO_LARGE, "open"]);
  });

  test.each(["lost", "fenced"])("forgets that it has ended the request of a leg that is %s", (how) => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[role].put(fin(1));
    paired[role].endRequest();
    if (how === "lost") paired[role].lose(callBroke());
    const before = how === "lost" ? undefined : comeBack(paired.relay, role, paired.splice.id);
    paired[peer].put(fin(1));
    paired[peer].endRequest();
    const back = before ?? comeBack(paired.relay, role, paired.splice.id);
    expect([back.frames.length, back.end, legs[peer].end]).toEqual([1, "open", "open"]);
    paired[role].endRequest();
    expect([back.end, legs[peer].end]).toEqual(["well", "well"]);
    expectNothingLeft(paired);
  });

  test("gives it its grace period to come back, although both have finished", () => {
    const paired = resumableStream({ lingerTimeoutMs: 1_000 });
    const legs = legsOf(paired);
    for (const each of roles) paired[each].put(fin(1));
    paired[role].lose(callBroke());
    paired.clock.advance(graceMs - 1);
    expect(legs[peer].end).toBe("open");
    const back = comeBack(paired.relay, role, paired.splice.id);
    paired.clock.advance(1_000);
    expect([legs[peer].end, back.end]).toEqual(["well", "well"]);
    expectNothingLeft(paired);
  });

  test("takes a request that ended without a last word for a call that broke", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[role].endRequest();
    const { end } = legs[role];
    expect(isLoss(end as StreamError)).toBe(true);
    expect(legs[peer].heard).toEqual([`suspended ${graceMs}`]);
    const back = comeBack(paired.relay, role, paired.splice.id);
    for (const each of roles) paired[each].put(fin(1));
    for (const each of roles) paired[each].endRequest();
    expect([back.end, legs[peer].end]).toEqual(["well", "well"]);
    expectNothingLeft(paired);
  });

  test("tells a peer that does not read the newest news alone, before the next frame", () => {
    const paired = resumableStream();
    new Listening(paired[role]);
    const full = new Listening(paired[peer], 1);
    paired[role].put(data(1));
    for (const generation of [1, 2, 3]) {
      paired[role].lose(callBroke());
      comeBack(paired.relay, role, paired.splice.id, { generation, receivedSequence: generation });
    }
    paired[role].put(data(2));
    expect(full.heard).toEqual(["frame"]);
    full.drain();
    expect(full.heard).toEqual(["frame", "resumed 3", "frame"]);
  });

  test("ends at once if the endpoint has left", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[role].fail(callBroke());
    expect(legs[peer].end).toMatchObject({ failure: Failure.LEG_LOST });
    expectNothingLeft(paired);
  });

  test("ends at once if one of the two does not resume", () => {
    const { relay, splice, ...paired } = resumableOffer();
    relay.accept(splice.id, relay.offerToken(splice), undefined);
    const legs = legsOf({ relay, splice, ...paired });
    expect(thrown(() => comeBack(relay, role, splice.id)).failure).toBe(Failure.FEATURE_UNSUPPORTED);
    paired[role].lose(callBroke());
    expect(legs[peer].end).toMatchObject({ failure: Failure.LEG_LOST });
    expectNothingLeft({ relay, splice, ...paired });
  });
});

describe("Splice, before the listener has accepted,", () => {
  const name = "room";

  test("keeps the offer of a client that has gone, and tells the listener how long it waits for it", () => {
    const paired = resumableOffer();
    new Listening(paired.client);
    paired.client.lose(callBroke());
    paired.clock.advance(1_000);
    expect(paired.relay.counts.offers).toBe(1);
    paired.relay.accept(paired.splice.id, paired.relay.offerToken(paired.splice), resumes);
    const listener = new Listening(paired.listener);
    expect(listener.heard).toEqual([`suspended ${graceMs - 1_000}`]);
    const client = comeBack(paired.relay, "client", paired.splice.id, { name });
    expect([client.heard, listener.heard.at(-1)]).toEqual([["accepted", "resumed 0"], "resumed 0"]);
    expect(client.capabilities).toBe(resumes);
  });

  test("tells a client that comes back nothing until the listener has accepted and has a leg", () => {
    const paired = resumableOffer();
    new Listening(paired.client);
    paired.client.put(data(1));
    paired.client.lose(callBroke());
    const client = comeBack(paired.relay, "client", paired.splice.id, { name });
    expect(client.heard).toEqual([]);
    paired.relay.accept(paired.splice.id, paired.relay.offerToken(paired.splice), resumes);
    const listener = new Listening(paired.listener);
    expect([client.heard, listener.heard]).toEqual([["accepted", "resumed 0"], []]);
  });

  test("withdraws the offer when the grace period of the client is over", () => {
    const paired = resumableOffer({ graceMs: 5_000 });
    new Listening(paired.client);
    paired.client.lose(callBroke());
    paired.clock.advance(5_000);
    expectNothingLeft(paired);
  });

  test("owes a client that is away the refusal of the listener", () => {
    const paired = resumableOffer();
    new Listening(paired.client);
    paired.client.lose(callBroke());
    paired.relay.reject(paired.splice.id, paired.relay.offerToken(paired.splice), { code: Code.Aborted, reason: "no" });
    const client = comeBack(paired.relay, "client", paired.splice.id, { name });
    expect(client.end).toMatchObject({ failure: Failure.DECLINED, code: Code.Aborted, message: "no" });
    expectNothingLeft(paired);
  });

  test("tells a client again of the refusal of the listener, which its leg was told and then lost", () => {
    const paired = resumableOffer();
    new Listening(paired.client);
    paired.relay.reject(paired.splice.id, paired.relay.offerToken(paired.splice), { code: Code.Aborted, reason: "no" });
    const again = thrown(() => comeBack(paired.relay, "client", paired.splice.id, { name }));
    expect(again).toMatchObject({ failure: Failure.DECLINED, code: Code.Aborted, message: "no" });
    expectNothingLeft(paired);
  });

  test("ends if a listener accepts that does not resume, while the client is away", () => {
    const paired = resumableOffer();
    new Listening(paired.client);
    paired.client.lose(callBroke());
    const half = paired.relay.accept(paired.splice.id, paired.relay.offerToken(paired.splice), undefined);
    expect(new Listening(half).end).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.PEER });
    const client = comeBack(paired.relay, "client", paired.splice.id, { name });
    expect(client.end).toMatchObject({ failure: Failure.LEG_LOST });
    expectNothingLeft(paired);
  });

  test("lets a listener whose Accept did not get through take the offer when it resumes", () => {
    const paired = resumableOffer();
    const client = new Listening(paired.client);
    const listener = comeBack(paired.relay, "listener", paired.splice.id);
    expect([client.heard, listener.heard]).toEqual([["accepted", "resumed 0"], ["resumed 0"]]);
    expect(paired.relay.counts).toMatchObject({ offers: 0, streams: 1 });
  });
});

describe.each(roles)("Relay.reject with the token of the %s", (role) => {
  const peer = other(role);
  const heard = { code: Code.DataLoss, reason: "enough", failure: Failure.MESSAGE_TOO_LARGE };
  const reject = ({ relay, splice }: Paired, receivedSequence = 0n) =>
    relay.reject(splice.id, relay.legToken(role, splice.id), { ...heard, receivedSequence });
  test("resets a stream, in front of a frame that waits, with the ack that its endpoint gives", () => {
    const paired = splicedStream();
    const own = new Listening(paired[role]);
    const full = new Listening(paired[peer], 1);
    paired[role].put(relayed(frame({ ack: 6n })));
    paired[role].put(data(1));
    reject(paired, 7n);
    expect(full.frames[1]).toMatchObject({ ack: 7, reset: heard });
    expect([full.frames.length, full.end, own.end]).toEqual([2, "well", "well"]);
    expectNothingLeft(paired);
  });

  test("ends a stream whose endpoint is away", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[role].lose(callBroke());
    reject(paired);
    expect([legs[peer].frames[0]?.reset, legs[peer].end]).toEqual([expect.objectContaining(heard), "well"]);
    // An older ack that the relay has seen is not the last one.
    expect(legs[peer].frames[0]?.ack).toBe(0);
    expectNothingLeft(paired);
  });

  test("is refused with a number that no frame can have, and changes nothing", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    expect(thrown(() => reject(paired, 2n ** 64n - 1n)).failure).toBe(Failure.PROTOCOL_VIOLATION);
    expect([legs[role].end, legs[peer].end]).toEqual(["open", "open"]);
    reject(paired);
    expectNothingLeft(paired);
  });

  test("is owed to a peer that is away", () => {
    const paired = resumableStream();
    const legs = legsOf(paired);
    paired[peer].lose(callBroke());
    reject(paired);
    expect(legs[role].end).toBe("well");
    const back = comeBack(paired.relay, peer, paired.splice.id);
    expect([back.frames[0]?.reset, back.end]).toEqual([expect.objectContaining(heard), "well"]);
    expectNothingLeft(paired);
    expect(thrown(() => reject(paired)).failure).toBe(Failure.OFFER_GONE);
  });
});

test("Relay.reject with the token of the client withdraws its offer", () => {
  const paired = resumableOffer();
  const client = new Listening(paired.client);
  paired.relay.reject(paired.splice.id, paired.relay.legToken("client", paired.splice.id), {
    code: Code.Canceled,
    reason: "",
  });
  expect(client.end).toBe("well");
  expectNothingLeft(paired);
});

test("Relay.close owes nothing to endpoints that are away", () => {
  const paired = resumableStream();
  const legs = legsOf(paired);
  paired.client.lose(callBroke());
  paired.relay.close();
  expect(legs.listener.end).toMatchObject({ failure: Failure.DRAINING });
  expect(paired.relay.counts).toEqual({ ...gone, leases: 0 });
  expect(paired.clock.timers).toBe(0);
});
