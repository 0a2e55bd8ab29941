import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/stream-error.js";
import { dataFrame, frame } from "../fakes/frames.js";
import { settled } from "../fakes/outcome.js";
import { Listening, splicedStream } from "../fakes/relays.js";

const data = new Uint8Array(10);
const gone = { leases: 1, offers: 0, streams: 0, legs: 0 };
const [clientFirst, listenerFirst] = [["client", "listener"] as const, ["listener", "client"] as const];

test.each([clientFirst, listenerFirst])("a reset by the %s reaches the %s, and ends both legs", async (a, b) => {
  const paired = splicedStream();
  const [atSelf, atOther] = [new Listening(paired[a]), new Listening(paired[b])];
  await paired[a].put(frame({ reset: { code: Code.Aborted, reason: "enough" } }));
  await settled();
  expect(atOther.frames[0]?.reset).toMatchObject({ code: Code.Aborted, reason: "enough" });
  expect([atSelf.end, atOther.end]).toEqual(["well", "well"]);
  expect(paired.relay.counts).toEqual(gone);
});

test("nothing follows a reset", async () => {
  const { client, listener } = splicedStream();
  const events = listener.events();
  void client.put(frame({ reset: { code: Code.Aborted } }));
  await events.next();
  await client.put(dataFrame(1, { data }));
  expect(await events.next()).toMatchObject({ done: true });
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
  void client.put(dataFrame(1, { data }));
  client.fail(new StreamError("broken", { failure: Failure.LEG_LOST }));
  const heard = new Listening(listener);
  await settled();
  expect(heard.frames).toHaveLength(1);
  expect(heard.end).toMatchObject({ failure: Failure.LEG_LOST });
});

test("a request that ends before fin breaks a rule", async () => {
  const { relay, client, listener } = splicedStream();
  const [atClient, atListener] = [new Listening(client), new Listening(listener)];
  await client.put(dataFrame(1, { data }));
  client.endRequest();
  await settled();
  expect(atClient.end).toMatchObject({ failure: Failure.PROTOCOL_VIOLATION, code: Code.InvalidArgument });
  expect(atListener.end).toMatchObject({ failure: Failure.LEG_LOST });
  expect(relay.counts).toEqual(gone);
});

test("whoever waits to put a frame is let go when the stream ends", async () => {
  const { splice, client } = splicedStream();
  const puts = [client.put(dataFrame(1, { data })), client.put(dataFrame(2, { data }))];
  await settled();
  splice.end();
  await Promise.all([...puts, client.put(dataFrame(3, { data }))]);
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
