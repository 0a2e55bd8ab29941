import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { CapabilitiesSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { dataFrame, frame } from "../fakes/frames.js";
import { promiseState, settled } from "../fakes/outcome.js";
import { Listening, offeredStream, splicedStream } from "../fakes/relays.js";

const data = new Uint8Array(10);
const gone = { leases: 1, offers: 0, streams: 0, legs: 0 };
const fin = (sequence: number) => frame({ sequence: BigInt(sequence), fin: true });
const [clientFirst, listenerFirst] = [["client", "listener"] as const, ["listener", "client"] as const];

test.each([clientFirst, listenerFirst])("what the %s sends arrives at the %s, in order and unchanged", async (a, b) => {
  const paired = splicedStream();
  const heard = new Listening(paired[b]);
  const frames = [1, 2, 3].map((sequence) => dataFrame(sequence, { data }));
  for (const next of frames) await paired[a].put(next);
  await settled();
  expect(heard.frames).toEqual(frames);
  expect(heard.frames[0]).toBe(frames[0]);
});

test("one frame at a time is on its way: the next waits until it was taken", async () => {
  const { client, listener } = splicedStream();
  const [first, second] = [client.put(dataFrame(1, { data })), client.put(dataFrame(2, { data }))];
  expect([await promiseState(first), await promiseState(second)]).toEqual(["pending", "pending"]);
  const events = listener.events();
  await events.next();
  expect([await promiseState(first), await promiseState(second)]).toEqual(["resolved", "pending"]);
  await events.next();
  expect(await promiseState(second)).toBe("resolved");
});

test("what a client sends before it is accepted waits, one frame of it", async () => {
  const { relay, splice, client, listener } = offeredStream();
  const [first, second] = [client.put(dataFrame(1, { data })), client.put(dataFrame(2, { data }))];
  expect([await promiseState(first), await promiseState(second)]).toEqual(["pending", "pending"]);
  relay.accept(splice.id, relay.offerToken(splice), undefined);
  const heard = new Listening(listener);
  await Promise.all([first, second]);
  expect(heard.frames.map(({ sequence }) => sequence)).toEqual([1n, 2n]);
});

test("accepted comes before the first frame, with what the listener can do", async () => {
  const { relay, splice, client, listener } = offeredStream();
  const capabilities = create(CapabilitiesSchema, { maxMessageBytes: 7n });
  relay.accept(splice.id, relay.offerToken(splice), capabilities);
  void listener.put(dataFrame(1, { data }));
  const events = client.events();
  expect((await events.next()).value).toEqual({ kind: "accepted", capabilities });
  expect((await events.next()).value).toMatchObject({ kind: "frame" });
});

test("one side that has finished leaves the other free to send, however long it takes", async () => {
  const { relay, client, listener, clock } = splicedStream();
  const [atClient, atListener] = [new Listening(client), new Listening(listener)];
  await client.put(fin(1));
  client.endRequest();
  clock.advance(24 * 60 * 60 * 1_000);
  await listener.put(dataFrame(1, { data }));
  await settled();
  expect([atListener.end, atClient.end, atClient.frames.length]).toEqual(["open", "open", 1]);
  expect(relay.counts.streams).toBe(1);
});

test("both finished and both requests ended: both legs end well", async () => {
  const { relay, client, listener, clock } = splicedStream();
  const heard = [new Listening(client), new Listening(listener)];
  for (const leg of [client, listener]) await leg.put(fin(1));
  client.endRequest();
  await settled();
  expect(heard.map(({ end }) => end)).toEqual(["open", "open"]);
  listener.endRequest();
  await settled();
  expect(heard.map(({ end }) => end)).toEqual(["well", "well"]);
  expect(relay.counts).toEqual(gone);
  expect(clock.timers).toBe(0);
});

test("a last frame that still waits when both requests have ended arrives all the same", async () => {
  const { client, listener } = splicedStream();
  const [clientPut, listenerPut] = [client.put(fin(1)), listener.put(fin(1))];
  for (const leg of [client, listener]) leg.endRequest();
  await Promise.all([clientPut, listenerPut]);
  const heard = [new Listening(client), new Listening(listener)];
  await settled();
  expect(heard.map(({ frames, end }) => [frames.length, end])).toEqual([
    [1, "well"],
    [1, "well"],
  ]);
});

test("requests that do not end are ended a while after the last frame", async () => {
  const { relay, client, listener, clock } = splicedStream({ lingerTimeoutMs: 1_000 });
  const heard = [new Listening(client), new Listening(listener)];
  for (const leg of [client, listener]) await leg.put(fin(1));
  expect(clock.timers).toBe(1);
  clock.advance(999);
  await client.put(frame({ ack: 1n }));
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
  const put = client.put(fin(1));
  client.endRequest();
  await settled();
  expect(relay.counts.offers).toBe(1);
  relay.accept(splice.id, relay.offerToken(splice), undefined);
  const heard = new Listening(listener);
  await put;
  await settled();
  expect(heard.frames[0]?.fin).toBe(true);
  expect(relay.counts.streams).toBe(1);
});
