import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../../gen/streamserver/v1/failure_pb.js";
import type { Role } from "../../../../../server/relay/stream/half.js";
import { TokenSigner } from "../../../../../server/relay/token.js";
import { dataFrame, frame } from "../../../../fakes/frames.js";
import { settled, thrown } from "../../../../fakes/outcome.js";
import {
  comeBack,
  Listening,
  leaseEvents,
  newRelay,
  relayed,
  resumableStream,
  resumes,
  type TestRelay,
} from "../../../../fakes/relays.js";

const roles = ["client", "listener"] as const;
const key = new Uint8Array(32).fill(7);
const graceMs = 120_000;
const name = "room";
const gone = { leases: 0, offers: 0, streams: 0, legs: 0 };
const other = (role: Role): Role => (role === "client" ? "listener" : "client");
const fin = (sequence: number) => relayed(frame({ sequence: BigInt(sequence), fin: true }));

/** A relay with the same key as the one before it, and the id and tokens of a stream of that one. */
function restarted(): TestRelay & { id: string; tokens: Record<"client" | "listener", string> } {
  const { relay: before, splice } = resumableStream({}, new TokenSigner([key]));
  const tokens = { client: before.legToken("client", splice.id), listener: before.legToken("listener", splice.id) };
  before.close();
  return { ...newRelay({}, new TokenSigner([key])), id: splice.id, tokens };
}

describe.each(roles)("Relay.resume of a stream of another process, the %s first,", (first) => {
  const second = other(first);

  test("makes the stream anew, and the endpoints meet", () => {
    const { relay, clock, id, tokens } = restarted();
    const a = comeBack(relay, first, id, { legToken: tokens[first], receivedSequence: 4 });
    expect([a.heard, relay.counts]).toEqual([[`suspended ${graceMs}`], { ...gone, streams: 1 }]);
    clock.advance(graceMs - 1);
    const b = comeBack(relay, second, id, { legToken: tokens[second], receivedSequence: 9 });
    expect([a.heard.at(-1), b.heard]).toEqual(["resumed 9", ["resumed 4"]]);
    clock.advance(graceMs);
    expect([a.end, b.end, clock.timers]).toEqual(["open", "open", 0]);
  });

  test("ends when the other endpoint does not come in time, with an account", () => {
    const { relay, clock, id, tokens } = restarted();
    const a = comeBack(relay, first, id, { legToken: tokens[first], receivedSequence: 4 });
    clock.advance(graceMs);
    expect(a.end).toMatchObject({ failure: Failure.LEG_LOST });
    expect([relay.counts, clock.timers]).toEqual([gone, 0]);
  });

  test("ends well when both requests end, although their last words were said before", () => {
    const { relay, clock, id, tokens } = restarted();
    const legs = [first, second].map((role) => comeBack(relay, role, id, { legToken: tokens[role] }));
    for (const { half } of legs) half.endRequest();
    expect(legs.map(({ end }) => end)).toEqual(["well", "well"]);
    expect([relay.counts, clock.timers]).toEqual([gone, 0]);
  });

  test("takes a request that ends after data, without fin, for a call that broke", () => {
    const { relay, id, tokens } = restarted();
    const [a, b] = [first, second].map((role) => comeBack(relay, role, id, { legToken: tokens[role] }));
    a?.half.put(relayed(dataFrame(1, { data: new Uint8Array(1) })));
    a?.half.endRequest();
    expect(b?.heard.at(-1)).toBe(`suspended ${graceMs}`);
    const back = comeBack(relay, first, id, { generation: 2 });
    back.half.put(fin(2));
    back.half.endRequest();
    b?.half.endRequest();
    expect([back.end, b?.end]).toEqual(["well", "well"]);
  });

  test("makes no stream anew for a token of its own", () => {
    const { relay } = restarted();
    expect(thrown(() => comeBack(relay, first, "forgotten")).failure).toBe(Failure.STREAM_GONE);
    expect(relay.counts).toEqual(gone);
  });

  test("knows that the stream has ended, whichever token the endpoint has", () => {
    const { relay, clock, id, tokens } = restarted();
    comeBack(relay, first, id, { legToken: tokens[first] });
    clock.advance(graceMs);
    const late = thrown(() => comeBack(relay, second, id, { legToken: tokens[second] }));
    expect([late.failure, relay.counts, clock.timers]).toEqual([Failure.STREAM_GONE, gone, 0]);
  });

  test("tells it of a reset by Reject that came before it", () => {
    const { relay, clock, id, tokens } = restarted();
    const end = { code: Code.DataLoss, reason: "enough", failure: Failure.MESSAGE_TOO_LARGE };
    relay.reject(id, tokens[second], { ...end, receivedSequence: 3n });
    const a = comeBack(relay, first, id, { legToken: tokens[first] });
    expect([a.frames[0], a.end]).toEqual([
      expect.objectContaining({ ack: 3, reset: expect.objectContaining(end) }),
      "well",
    ]);
    expect([relay.counts, clock.timers]).toEqual([gone, 0]);
    const again = thrown(() => relay.reject(id, tokens[second], end));
    const late = thrown(() => comeBack(relay, second, id, { legToken: tokens[second] }));
    expect([again.failure, late.failure]).toEqual([Failure.OFFER_GONE, Failure.STREAM_GONE]);
  });

  test("leaves a reset by Reject to the relay that comes after one that drains", () => {
    const { relay, id, tokens } = restarted();
    relay.drain();
    const refused = thrown(() => relay.reject(id, tokens[first], { code: Code.Aborted, reason: "" }));
    expect(refused.failure).toBe(Failure.DRAINING);
  });

  test("refuses a token of another key, and an attachment without a number", () => {
    const { id, tokens, relay } = restarted();
    const stranger = newRelay();
    expect(thrown(() => comeBack(stranger.relay, first, id, { legToken: tokens[first] })).failure).toBe(
      Failure.TOKEN_INVALID,
    );
    expect(thrown(() => comeBack(relay, first, id, { legToken: tokens[second] })).failure).toBe(Failure.TOKEN_INVALID);
    expect(thrown(() => comeBack(relay, first, id, { legToken: tokens[first], generation: 0 })).failure).toBe(
      Failure.FENCED,
    );
    expect([relay.counts, stranger.relay.counts]).toEqual([gone, gone]);
  });

  test("counts against the limit of streams", () => {
    const { id, tokens } = restarted();
    const { relay } = newRelay({ maxStreams: 1 }, new TokenSigner([key]));
    relay.listen(name, false);
    relay.connect(name, { metadata: {} });
    const full = thrown(() => comeBack(relay, first, id, { legToken: tokens[first] }));
    expect(full.failure).toBe(Failure.LIMIT_REACHED);
  });
});

describe("Relay.resume of a client that was never accepted, in another process,", () => {
  test("offers the stream anew under its id, and waits for the listener as long as the grace period", async () => {
    const { relay, clock, id, tokens } = restarted();
    const client = comeBack(relay, "client", id, { legToken: tokens.client, name });
    expect(relay.counts).toEqual({ ...gone, offers: 1 });
    clock.advance(graceMs - 1);
    const { lease } = relay.listen(name, false);
    const events = leaseEvents(lease);
    await settled();
    expect(events).toEqual([{ kind: "offer", offer: expect.objectContaining({ id }) }]);
    const listener = new Listening(relay.accept(id, relay.legToken("listener", id), resumes));
    expect([client.heard, listener.heard]).toEqual([["accepted", "resumed 0"], []]);
  });

  test("tells it that it was accepted, when the listener that has accepted it comes back", () => {
    const { relay, id, tokens } = restarted();
    const client = comeBack(relay, "client", id, { legToken: tokens.client, name });
    const listener = comeBack(relay, "listener", id, { legToken: tokens.listener });
    expect([client.heard, listener.heard]).toEqual([["accepted", "resumed 0"], ["resumed 0"]]);
    expect(relay.counts).toEqual({ ...gone, streams: 1 });
  });

  test("tells it so as well when the listener came first", () => {
    const { relay, id, tokens } = restarted();
    const listener = comeBack(relay, "listener", id, { legToken: tokens.listener });
    const client = comeBack(relay, "client", id, { legToken: tokens.client, name });
    expect([client.heard, listener.heard.at(-1)]).toEqual([["accepted", "resumed 0"], "resumed 0"]);
    expect(client.capabilities).toBe(resumes);
  });

  test("ends with FAILURE_NO_SUCH_NAME when no listener comes", () => {
    const { relay, clock, id, tokens } = restarted();
    const client = comeBack(relay, "client", id, { legToken: tokens.client, name });
    clock.advance(graceMs);
    expect(client.end).toMatchObject({ failure: Failure.NO_SUCH_NAME });
    expect([relay.counts, clock.timers]).toEqual([gone, 0]);
  });
});
