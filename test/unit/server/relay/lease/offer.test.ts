import { create, fromBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../../gen/streamserver/v1/failure_pb.js";
import { CallerSchema, CapabilitiesSchema, Feature } from "../../../../../gen/streamserver/v1/relay_pb.js";
import { TokenSigner } from "../../../../../server/relay/token.js";
import type { TokenKeys } from "../../../../../server/relay/token-keys.js";
import { cutReason, StreamError } from "../../../../../stream/error/stream-error.js";
import { frame } from "../../../../fakes/frames.js";
import { settled, thrown } from "../../../../fakes/outcome.js";
import {
  comeBack,
  connect,
  Listening,
  leaseEvents,
  newRelay,
  noFacts,
  offeredStream,
  relayed,
  resumes,
  someCaller,
} from "../../../../fakes/relays.js";

const empty = { leases: 1, offers: 0, streams: 0, legs: 0 };

test("a client waits as an offer, with all that the listener is to know", async () => {
  const { relay, clock } = newRelay();
  const { lease } = relay.listen("room", false);
  const events = leaseEvents(lease);
  const facts = { ...noFacts, metadata: { who: "me" }, caller: create(CallerSchema, { origin: "https://page.test" }) };
  const { splice } = relay.connect("room", facts);
  await settled();
  expect(events).toEqual([{ kind: "offer", offer: splice }]);
  expect(splice.facts).toBe(facts);
  expect(relay.counts).toEqual({ ...empty, offers: 1 });
  expect(clock.timers).toBe(1);
});

test("a name that nobody listens on is not found", () => {
  const { relay } = newRelay();
  expect(thrown(() => connect(relay))).toMatchObject({ failure: Failure.NO_SUCH_NAME, code: Code.NotFound });
  expect(relay.counts).toEqual({ ...empty, leases: 0 });
});

test("an offer that is accepted is a stream, and its deadline is off", async () => {
  const { relay, splice, client, clock, lease } = offeredStream();
  const atClient = new Listening(client);
  relay.accept(splice.id, relay.offerToken(splice), undefined);
  await settled();
  expect(atClient.accepted).toBe(1);
  expect(relay.counts).toEqual({ ...empty, streams: 1 });
  expect([clock.timers, lease.offers]).toEqual([0, 0]);
});

test("an offer that nobody takes ends at its deadline, and not before", async () => {
  const { relay, client, listener, clock, lease } = offeredStream({ acceptTimeoutMs: 500 });
  const heard = leaseEvents(lease);
  const [atClient, atListener] = [new Listening(client), new Listening(listener)];
  await settled();
  clock.advance(499);
  expect(relay.counts.offers).toBe(1);
  clock.advance(1);
  await settled();
  expect(atClient.end).toMatchObject({
    failure: Failure.NOT_ACCEPTED_IN_TIME,
    code: Code.DeadlineExceeded,
    hop: Hop.PEER,
  });
  expect(atListener.end).toMatchObject({ failure: Failure.NOT_ACCEPTED_IN_TIME });
  expect(heard.map(({ kind }) => kind)).toEqual(["offer", "withdrawn"]);
  expect(relay.counts).toEqual(empty);
  expect(clock.timers).toBe(0);
});

test("a listener that has not heard of an offer does not hear of its end", async () => {
  const { lease, client } = offeredStream();
  client.fail(new StreamError("gone", { failure: Failure.PEER_CANCELED }));
  const heard = leaseEvents(lease);
  await settled();
  expect(heard).toEqual([]);
});

test("a client that goes away withdraws its offer", async () => {
  const { relay, splice, lease, client, clock } = offeredStream();
  const heard = leaseEvents(lease);
  await settled();
  client.fail(new StreamError("gone", { failure: Failure.PEER_CANCELED }));
  await settled();
  expect(heard.at(-1)).toEqual({ kind: "withdrawn", streamId: splice.id });
  expect(thrown(() => relay.accept(splice.id, relay.offerToken(splice), undefined)).failure).toBe(Failure.OFFER_GONE);
  expect(relay.counts).toEqual(empty);
  expect(clock.timers).toBe(0);
});

test("a client that resets before it is accepted withdraws its offer", async () => {
  const { relay, lease, client } = offeredStream();
  const heard = leaseEvents(lease);
  const atClient = new Listening(client);
  await settled();
  client.put(relayed(frame({ reset: { code: Code.Aborted } })));
  await settled();
  expect(heard.at(-1)?.kind).toBe("withdrawn");
  expect(atClient.end).toBe("well");
  expect(relay.counts).toEqual(empty);
});

test("a listener declines with a code and a reason of its own", async () => {
  const { relay, splice, client, lease, clock } = offeredStream();
  const heard = leaseEvents(lease);
  const atClient = new Listening(client);
  await settled();
  relay.reject(splice.id, relay.offerToken(splice), { code: Code.Unauthenticated, reason: "who are you?" });
  await settled();
  expect(atClient.end).toMatchObject({
    failure: Failure.DECLINED,
    code: Code.Unauthenticated,
    hop: Hop.PEER,
    message: "who are you?",
  });
  expect(heard.map(({ kind }) => kind)).toEqual(["offer"]);
  expect(relay.counts).toEqual(empty);
  expect(clock.timers).toBe(0);
});

test("a reason that is too long is cut", async () => {
  const { relay, splice, client } = offeredStream();
  const atClient = new Listening(client);
  relay.reject(splice.id, relay.offerToken(splice), { code: Code.Aborted, reason: "é".repeat(1_000) });
  await settled();
  expect(atClient.end).toMatchObject({ message: cutReason("é".repeat(1_000)) });
});

test.each([0, 17, -1, 1.5])("%d is no code to decline with, and the offer still waits", (code) => {
  const { relay, splice } = offeredStream();
  expect(thrown(() => relay.reject(splice.id, relay.offerToken(splice), { code: code, reason: "" })).failure).toBe(
    Failure.PROTOCOL_VIOLATION,
  );
  expect(relay.counts.offers).toBe(1);
});

test("an offer is taken or declined once", () => {
  const gone = { failure: Failure.OFFER_GONE, code: Code.FailedPrecondition };
  const { relay, splice } = offeredStream();
  const token = relay.offerToken(splice);
  relay.accept(splice.id, token, undefined);
  expect(thrown(() => relay.accept(splice.id, token, undefined))).toMatchObject(gone);
  expect(splice.kind).toBe("spliced");
  splice.end();
  expect(thrown(() => relay.accept(splice.id, token, undefined))).toMatchObject(gone);
  expect(thrown(() => relay.reject(splice.id, token, { code: Code.Aborted, reason: "" }))).toMatchObject(gone);
});

test("only the listener's own token takes an offer", () => {
  const { relay } = newRelay();
  relay.listen("room", false);
  const { splice, token: clientToken } = relay.connect("room", noFacts);
  const other = connect(relay);
  for (const token of [relay.offerToken(other), "", "a.b"]) {
    expect(thrown(() => relay.accept(splice.id, token, undefined)).failure).toBe(Failure.TOKEN_INVALID);
    expect(thrown(() => relay.reject(splice.id, token, { code: Code.Aborted, reason: "" })).failure).toBe(
      Failure.TOKEN_INVALID,
    );
  }
  expect(thrown(() => relay.accept(splice.id, clientToken, undefined)).failure).toBe(Failure.TOKEN_INVALID);
  expect(relay.counts.offers).toBe(2);
});

test("so many offers wait at one listener; one that is decided makes room", () => {
  const { relay } = newRelay({ maxOffersPerName: 2 });
  relay.listen("room", false);
  relay.listen("other", false);
  const first = connect(relay);
  connect(relay);
  expect(thrown(() => connect(relay)).failure).toBe(Failure.LIMIT_REACHED);
  connect(relay, "other");
  relay.accept(first.id, relay.offerToken(first), undefined);
  connect(relay);
  expect(relay.counts).toEqual({ leases: 2, offers: 3, streams: 1, legs: 0 });
});

test("the relay holds so many streams; one that ends makes room", () => {
  const { relay } = newRelay({ maxStreams: 2 });
  relay.listen("room", false);
  const first = connect(relay);
  connect(relay);
  expect(thrown(() => connect(relay)).failure).toBe(Failure.LIMIT_REACHED);
  first.end();
  connect(relay);
});

test("capabilities have a limit, with what nobody knows of them", () => {
  const { relay } = newRelay();
  relay.listen("room", false);
  const large = create(CapabilitiesSchema, { features: Array(1_100).fill(Feature.CREDIT) });
  const unknown = fromBinary(CapabilitiesSchema, new Uint8Array(Array(513).fill([0x78, 1]).flat()));
  for (const capabilities of [large, unknown]) {
    const connecting = () => relay.connect("room", { ...noFacts, capabilities });
    expect(thrown(connecting).failure).toBe(Failure.FRAME_TOO_LARGE);
    const { splice } = relay.connect("room", noFacts);
    const accepting = () => relay.accept(splice.id, relay.offerToken(splice), capabilities);
    expect(thrown(accepting).failure).toBe(Failure.FRAME_TOO_LARGE);
  }
});

test("metadata has a limit, counted in bytes of keys and values", () => {
  const { relay } = newRelay({ maxMetadataBytes: 10 });
  relay.listen("room", false);
  connect(relay, "room", { éé: "123", "4": "56" });
  expect(thrown(() => connect(relay, "room", { éé: "1234", "4": "56" })).failure).toBe(Failure.FRAME_TOO_LARGE);
});

test("a lease that ends tells the clients that wait, and no stream that was accepted", async () => {
  const { relay, lease, splice } = offeredStream();
  relay.accept(splice.id, relay.offerToken(splice), undefined);
  const [accepted, waiting] = [new Listening(splice.client), new Listening(connect(relay).client)];
  lease.end("canceled");
  await settled();
  expect(waiting.end).toMatchObject({ failure: Failure.LISTENER_GONE, code: Code.Unavailable, hop: Hop.PEER });
  expect(accepted.end).toBe("open");
  expect(relay.counts).toEqual({ ...empty, leases: 0, streams: 1 });
});

test("a relay that closes ends every lease and stream, and opens none", async () => {
  const { relay, splice, clock } = offeredStream();
  relay.accept(splice.id, relay.offerToken(splice), undefined);
  const legs = [splice.client, splice.listener, connect(relay).client].map((leg) => new Listening(leg));
  relay.close();
  await settled();
  expect(relay.counts).toEqual({ ...empty, leases: 0 });
  expect(clock.timers).toBe(0);
  expect(legs[0]?.end).toMatchObject({ failure: Failure.DRAINING, code: Code.Unavailable });
  expect(legs[1]?.end).toMatchObject({ failure: Failure.DRAINING });
  for (const open of [() => relay.listen("x", false), () => connect(relay)]) {
    expect(thrown(open).failure).toBe(Failure.DRAINING);
  }
});

describe("An offer's token", () => {
  const gone = { failure: Failure.OFFER_GONE };
  const no = { code: Code.Aborted, reason: "no" };
  const keys: TokenKeys = [new Uint8Array(32).fill(7)];

  /** An offer that was announced on a lease which has ended, and its token. */
  function movedOffer(signer?: TokenSigner) {
    const test = newRelay({}, signer);
    const { lease } = test.relay.listen("room", false);
    const { splice } = test.relay.connect("room", { ...noFacts, capabilities: resumes }, 60_000);
    const token = test.relay.offerToken(splice, lease);
    lease.end("unlisten");
    return { ...test, lease, splice, token };
  }

  test.each([
    ["in the queue", false],
    ["at the next lease of the name", true],
  ])("takes, declines and resumes nothing once the offer waits %s", (_where, isHeldAgain) => {
    const { relay, splice, token } = movedOffer();
    if (isHeldAgain) relay.listen("room", false);
    expect(thrown(() => relay.accept(splice.id, token, resumes))).toMatchObject(gone);
    expect(thrown(() => relay.reject(splice.id, token, no))).toMatchObject(gone);
    expect(thrown(() => comeBack(relay, "listener", splice.id, { legToken: token }))).toMatchObject(gone);
    expect([splice.kind, splice.client.error]).toEqual(["offered", undefined]);
  });

  test("is no token of the stream once the offer was taken at another lease, and the leg's own token is", () => {
    const { relay, splice, token } = movedOffer();
    relay.listen("room", false);
    relay.accept(splice.id, relay.offerToken(splice), resumes);
    const legToken = relay.legToken("listener", splice.id);
    expect(thrown(() => relay.reject(splice.id, token, no))).toMatchObject(gone);
    expect(thrown(() => comeBack(relay, "listener", splice.id, { legToken: token }))).toMatchObject(gone);
    expect(comeBack(relay, "listener", splice.id, { legToken }).end).toBe("open");
  });

  test("is bound to the lease on which it was announced, also if the offer waits elsewhere when it is made", () => {
    const { relay, splice, lease } = movedOffer();
    relay.listen("room", false);
    const late = relay.offerToken(splice, lease);
    expect(thrown(() => relay.accept(splice.id, late, resumes))).toMatchObject(gone);
  });

  test("is good after its lease was taken up again", () => {
    const { relay } = newRelay();
    const { lease, token: leaseToken } = relay.listen("room", false, { isResumable: true });
    const splice = connect(relay);
    const token = relay.offerToken(splice, lease);
    const claim = { name: "room", listed: false, isResumable: true, ownerKey: "", caller: someCaller };
    relay.takeUp(claim, { leaseId: lease.id, leaseToken, generation: 1 });
    expect(relay.accept(splice.id, token, undefined)).toBe(splice.listener);
  });

  test("makes or ends no stream at another process with the same key, before its lease is made anew there", () => {
    const { relay: before } = newRelay({}, new TokenSigner(keys));
    const { lease, token: leaseToken } = before.listen("room", false, { isResumable: true });
    const { splice, token: clientToken } = before.connect("room", { ...noFacts, capabilities: resumes });
    const legToken = before.offerToken(splice, lease);
    const { relay } = newRelay({}, new TokenSigner(keys));
    const comes = () => comeBack(relay, "listener", splice.id, { legToken });
    const away = { failure: Failure.LEG_LOST, hop: Hop.RELAY };
    expect(thrown(comes)).toMatchObject(away);
    expect(thrown(() => relay.reject(splice.id, legToken, no))).toMatchObject(gone);
    comeBack(relay, "client", splice.id, { legToken: clientToken, name: "room" });
    expect(thrown(comes)).toMatchObject(away);
    const claim = { name: "room", listed: false, isResumable: true, ownerKey: "", caller: someCaller };
    const held = relay.takeUp(claim, { leaseId: lease.id, leaseToken, generation: 1 });
    const again = comes();
    expect(again.end).toBe("open");
    held.lease.end("unlisten");
    const unknown = "another stream";
    const late = new TokenSigner(keys).sign("listener leg", unknown, "", `~${lease.id}`);
    expect(thrown(() => comeBack(relay, "listener", unknown, { legToken: late }))).toMatchObject(gone);
  });

  test("is good at another process with the same key, where its lease was made anew", () => {
    const { relay: before } = newRelay({}, new TokenSigner(keys));
    const { lease, token: leaseToken } = before.listen("room", false, { isResumable: true });
    const { splice, token: legToken } = before.connect("room", { ...noFacts, capabilities: resumes });
    const token = before.offerToken(splice, lease);
    const { relay } = newRelay({}, new TokenSigner(keys));
    const claim = { name: "room", listed: false, isResumable: true, ownerKey: "", caller: someCaller };
    comeBack(relay, "client", splice.id, { legToken, name: "room" });
    expect(thrown(() => relay.accept(splice.id, token, resumes))).toMatchObject(gone);
    relay.takeUp(claim, { leaseId: lease.id, leaseToken, generation: 1 });
    relay.accept(splice.id, token, resumes);
    expect(relay.counts).toMatchObject({ offers: 0, streams: 1 });
  });
});
