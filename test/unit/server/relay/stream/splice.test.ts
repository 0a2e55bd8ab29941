import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { CapabilitiesSchema } from "../../../../../gen/streamserver/v1/relay_pb.js";
import { dataFrame, frame } from "../../../../fakes/frames.js";
import { settled } from "../../../../fakes/outcome.js";
import { Listening, offeredStream, relayed, splicedStream } from "../../../../fakes/relays.js";

const data = new Uint8Array(10);
const gone = { leases: 1, offers: 0, streams: 0, legs: 0 };
const fin = (sequence: number) => frame({ sequence: BigInt(sequence), fin: true });
const [clientFirst, listenerFirst] = [["client", "listener"] as const, ["listener", "client"] as const];

test.each([clientFirst, listenerFirst])(
  "Splice: what the %s sends arrives at the %s, in order and unchanged",
  (a, b) => {
    const paired = splicedStream();
    const heard = new Listening(paired[b]);
    const frames = [1, 2, 3].map((sequence) => relayed(dataFrame(sequence, { data })));
    for (const next of frames) expect(paired[a].put(next)).toBe(true);
    expect(heard.envelopes).toEqual(frames.map(({ envelope }) => envelope));
    expect(heard.envelopes[0]).toBe(frames[0]?.envelope);
  },
);

test("Half.put holds one frame while the peer has no room, and lets its endpoint go on when it was sent", () => {
  const { client, listener } = splicedStream();
  const [atClient, atListener] = [new Listening(client), new Listening(listener, 1)];
  expect([1, 2].map((sequence) => client.put(relayed(dataFrame(sequence, { data }))))).toEqual([true, false]);
  expect([atListener.frames.length, atClient.goneOn]).toEqual([1, 0]);
  atListener.drain();
  expect([atListener.frames.length, atClient.goneOn]).toEqual([2, 1]);
  expect(client.put(relayed(dataFrame(3, { data })))).toBe(false);
});

test("Splice: what a client sends before it is accepted waits, one frame of it", () => {
  const { relay, splice, client, listener } = offeredStream();
  const atClient = new Listening(client);
  expect(client.put(relayed(dataFrame(1, { data })))).toBe(false);
  relay.accept(splice.id, relay.offerToken(splice), undefined);
  const heard = new Listening(listener);
  expect(atClient.goneOn).toBe(1);
  expect(client.put(relayed(dataFrame(2, { data })))).toBe(true);
  expect(heard.frames.map(({ sequence }) => sequence)).toEqual([1, 2]);
});

test("Splice.accept: accepted comes before the first frame, with what the listener can do", () => {
  const { relay, splice, client, listener } = offeredStream();
  const heard = new Listening(client);
  const capabilities = create(CapabilitiesSchema, { maxMessageBytes: 7n });
  relay.accept(splice.id, relay.offerToken(splice), capabilities);
  listener.put(relayed(dataFrame(1, { data })));
  expect(heard.heard).toEqual(["accepted", "frame"]);
  expect(heard.capabilities).toBe(capabilities);
});

test("one side that has finished leaves the other free to send, however long it takes", async () => {
  const { relay, client, listener, clock } = splicedStream();
  const [atClient, atListener] = [new Listening(client), new Listening(listener)];
  client.put(relayed(fin(1)));
  client.endRequest();
  clock.advance(24 * 60 * 60 * 1_000);
  listener.put(relayed(dataFrame(1, { data })));
  await settled();
  expect([atListener.end, atClient.end, atClient.frames.length]).toEqual(["open", "open", 1]);
  expect(relay.counts.streams).toBe(1);
});

test("both finished and both requests ended: both legs end well", async () => {
  const { relay, client, listener, clock } = splicedStream();
  const heard = [new Listening(client), new Listening(listener)];
  for (const leg of [client, listener]) leg.put(relayed(fin(1)));
  client.endRequest();
  await settled();
  expect(heard.map(({ end }) => end)).toEqual(["open", "open"]);
  listener.endRequest();
  await settled();
  expect(heard.map(({ end }) => end)).toEqual(["well", "well"]);
  expect(relay.counts).toEqual(gone);
  expect(clock.timers).toBe(0);
});

test("Splice.end: a last frame that still waits when both requests have ended arrives all the same", () => {
  const { client, listener } = splicedStream();
  const heard = [new Listening(client, 1), new Listening(listener, 1)];
  for (const leg of [client, listener]) leg.put(relayed(dataFrame(1, { data })));
  expect([client, listener].map((leg) => leg.put(relayed(fin(2))))).toEqual([false, false]);
  for (const leg of [client, listener]) leg.endRequest();
  expect(heard.map(({ frames, end }) => [frames.length, end])).toEqual([
    [2, "well"],
    [2, "well"],
  ]);
});

test("requests that do not end are ended a while after the last frame", async () => {
  const { relay, client, listener, clock } = splicedStream({ lingerTimeoutMs: 1_000 });
  const heard = [new Listening(client), new Listening(listener)];
  for (const leg of [client, listener]) leg.put(relayed(fin(1)));
  expect(clock.timers).toBe(1);
  clock.advance(999);
  client.put(relayed(frame({ ack: 1n })));
  clock.advance(999);
  await settled();
  expect(heard.map(({ end }) => end)).toEqual(["open", "open"]);
  clock.advance(1);
  await settled();
  expect(heard.map(({ end }) => end)).toEqual(["well", "well"]);
  expect(relay.counts).toEqual(gone);
  expect(clock.timers).toBe(0);
});

test("a simple client that says all it has and ends its request waits for the listener", async () => {
  const { relay, splice, client, listener } = offeredStream();
  client.put(relayed(fin(1)));
  client.endRequest();
  await settled();
  expect(relay.counts.offers).toBe(1);
  relay.accept(splice.id, relay.offerToken(splice), undefined);
  const heard = new Listening(listener);
  await settled();
  expect(heard.frames[0]?.fin).toBe(true);
  expect(relay.counts.streams).toBe(1);
});
