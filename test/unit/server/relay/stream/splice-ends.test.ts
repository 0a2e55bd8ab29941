import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../../../../stream/error/stream-error.js";
import { dataFrame, frame } from "../../../../fakes/frames.js";
import { settled } from "../../../../fakes/outcome.js";
import { Listening, relayed, splicedStream } from "../../../../fakes/relays.js";

const data = new Uint8Array(10);
const gone = { leases: 1, offers: 0, streams: 0, legs: 0 };
const [clientFirst, listenerFirst] = [["client", "listener"] as const, ["listener", "client"] as const];

test.each([clientFirst, listenerFirst])("a reset by the %s reaches the %s, and ends both legs", async (a, b) => {
  const paired = splicedStream();
  const [atSelf, atOther] = [new Listening(paired[a]), new Listening(paired[b])];
  paired[a].put(relayed(frame({ reset: { code: Code.Aborted, reason: "enough" } })));
  await settled();
  expect(atOther.frames[0]?.reset).toMatchObject({ code: Code.Aborted, reason: "enough" });
  expect([atSelf.end, atOther.end]).toEqual(["well", "well"]);
  expect(paired.relay.counts).toEqual(gone);
});

test("Half.put sends nothing after a reset", () => {
  const { client, listener } = splicedStream();
  const heard = new Listening(listener);
  client.put(relayed(frame({ reset: { code: Code.Aborted } })));
  expect(client.put(relayed(dataFrame(1, { data })))).toBe(true);
  expect([heard.frames.length, heard.end]).toEqual([1, "well"]);
});

test("Half: a reset that waits for a peer without room is sent once, and ends both legs", () => {
  const { client, listener, relay } = splicedStream();
  const heard = new Listening(listener, 1);
  client.put(relayed(dataFrame(1, { data })));
  expect(client.put(relayed(frame({ reset: { code: Code.Aborted } })))).toBe(false);
  heard.drain();
  expect([heard.frames.length, heard.end]).toEqual([2, "well"]);
  expect(relay.counts).toEqual(gone);
});

test.each([clientFirst, listenerFirst])("a leg of the %s that is lost is lost for the %s", async (a, b) => {
  const paired = splicedStream();
  const [atSelf, atOther] = [new Listening(paired[a]), new Listening(paired[b])];
  paired[a].fail(new StreamError("broken", { failure: Failure.LEG_LOST }));
  await settled();
  expect(atOther.end).toMatchObject({ failure: Failure.LEG_LOST, code: Code.Unavailable, hop: Hop.PEER });
  expect(atSelf.end).toMatchObject({ failure: Failure.LEG_LOST });
  expect(paired.relay.counts).toEqual(gone);
});

test.each([clientFirst, listenerFirst])("a call that the %s cancels is cancelled for the %s", async (a, b) => {
  const paired = splicedStream();
  const atOther = new Listening(paired[b]);
  paired[a].fail(new StreamError("cancelled", { failure: Failure.PEER_CANCELED }));
  await settled();
  expect(atOther.end).toMatchObject({ failure: Failure.PEER_CANCELED, code: Code.Canceled, hop: Hop.PEER });
});

test.each([clientFirst, listenerFirst])(
  "a %s that breaks a rule is told which; for the %s it is gone",
  async (a, b) => {
    const paired = splicedStream();
    const [atSelf, atOther] = [new Listening(paired[a]), new Listening(paired[b])];
    paired[a].fail(new StreamError("too large", { failure: Failure.FRAME_TOO_LARGE }));
    await settled();
    expect(atSelf.end).toMatchObject({ failure: Failure.FRAME_TOO_LARGE, hop: Hop.CALLER });
    expect(atOther.end).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.PEER });
  },
);

test("what was on its way to the other side when a leg was lost still arrives", async () => {
  const { client, listener } = splicedStream();
  const heard = new Listening(listener, 1);
  for (const sequence of [1, 2]) client.put(relayed(dataFrame(sequence, { data })));
  client.fail(new StreamError("broken", { failure: Failure.LEG_LOST }));
  await settled();
  expect(heard.frames).toHaveLength(2);
  expect(heard.end).toMatchObject({ failure: Failure.LEG_LOST });
});

test("a request that ends before fin breaks a rule", async () => {
  const { relay, client, listener } = splicedStream();
  const [atClient, atListener] = [new Listening(client), new Listening(listener)];
  client.put(relayed(dataFrame(1, { data })));
  client.endRequest();
  await settled();
  expect(atClient.end).toMatchObject({ failure: Failure.PROTOCOL_VIOLATION, code: Code.InvalidArgument });
  expect(atListener.end).toMatchObject({ failure: Failure.LEG_LOST });
  expect(relay.counts).toEqual(gone);
});

test("Half.put: a frame after the end of the stream is dropped, and holds its endpoint back no more", () => {
  const { splice, client } = splicedStream();
  expect(client.put(relayed(dataFrame(1, { data })))).toBe(false);
  splice.end();
  expect(client.put(relayed(dataFrame(2, { data })))).toBe(true);
});

test("a stream ends once: what comes after changes nothing", async () => {
  const { relay, splice, client, listener } = splicedStream();
  const heard = new Listening(listener);
  client.fail(new StreamError("first", { failure: Failure.PEER_CANCELED }));
  listener.fail(new StreamError("second", { failure: Failure.LEG_LOST }));
  splice.end();
  client.endRequest();
  await settled();
  expect(heard.end).toMatchObject({ failure: Failure.PEER_CANCELED });
  expect(relay.counts).toEqual(gone);
});
