import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../../gen/streamserver/v1/failure_pb.js";
import { CapabilitiesSchema, Feature } from "../../../../../gen/streamserver/v1/relay_pb.js";
import { maxOwnerKeyBytes } from "../../../../../server/relay/lease/owner-key.js";
import type { Held } from "../../../../../server/relay/lease/registry.js";
import type { Relay } from "../../../../../server/relay/relay.js";
import { TokenSigner } from "../../../../../server/relay/token.js";
import { StreamError } from "../../../../../stream/error/stream-error.js";
import { promiseState, rejection, settled, thrown } from "../../../../fakes/outcome.js";
import {
  callBroke,
  connect,
  Listening,
  leaseEvents,
  newRelay,
  noFacts,
  resumes,
  someCaller,
} from "../../../../fakes/relays.js";

const graceMs = 5_000;
const isResumable = true;
const canResume = { ...noFacts, capabilities: create(CapabilitiesSchema, { features: [Feature.RESUME] }) };

function resumableLease(ownerKey = "") {
  const test = newRelay({ graceMs, acceptTimeoutMs: 500 });
  const held = test.relay.listen("room", true, { isResumable, ownerKey });
  return { ...test, ...held, changes: changesOf(test.relay) };
}

/** Returns a list to which every change of a name is added as it comes. */
function changesOf(relay: Relay): string[] {
  const changes: string[] = [];
  relay.registry.observe((change) =>
    changes.push(change.kind === "destroyed" ? `${change.kind}: ${change.end}` : change.kind),
  );
  return changes;
}

function takeUp(
  relay: Relay,
  { lease, token }: Pick<Held, "lease" | "token">,
  generation: number,
  name = lease.name,
  ownerKey = "",
) {
  const claim = { name, listed: lease.listed, isResumable, ownerKey, caller: someCaller };
  return relay.takeUp(claim, { leaseId: lease.id, leaseToken: token, generation });
}

/** The error with which a call ends; undefined if it ends well. */
async function endOf({ call }: Held): Promise<StreamError | undefined> {
  try {
    for await (const _ of call.events());
    return undefined;
  } catch (reason) {
    return StreamError.from(reason);
  }
}

describe("Lease.suspend", () => {
  test("keeps the name for the grace period, in the directory too, and then the lease is lost", () => {
    const { relay, lease, call, clock, changes } = resumableLease();
    lease.suspend(call);
    clock.advance(graceMs - 1);
    expect([...relay.registry.listed("")]).toEqual(["room"]);
    const taken = thrown(() => relay.listen("room", false));
    expect(taken.failure).toBe(Failure.NAME_TAKEN);
    expect(taken.message).toContain(String(graceMs));
    clock.advance(1);
    relay.listen("room", false);
    expect(changes).toEqual(["suspended", "destroyed: lost", "created"]);
    expect(clock.timers).toBe(0);
  });

  test("lets clients wait, as long as for a listener that has its call, or as they wait for one", async () => {
    const { relay, lease, call, clock } = resumableLease();
    const before = new Listening(connect(relay).client);
    lease.suspend(call);
    const patient = new Listening(relay.connect("room", noFacts, 2_000).splice.client);
    clock.advance(500);
    expect(before.end).toMatchObject({ failure: Failure.NOT_ACCEPTED_IN_TIME });
    clock.advance(1_499);
    expect(patient.end).toBe("open");
    clock.advance(1);
    expect(patient.end).toMatchObject({ failure: Failure.NOT_ACCEPTED_IN_TIME });
    expect(lease.offers).toBe(0);
  });

  test("does nothing for a call whose place a newer one has taken", () => {
    const held = resumableLease();
    const { call } = takeUp(held.relay, held, 1);
    held.lease.suspend(held.call);
    held.lease.leave(held.call, "lost");
    expect(held.lease.call).toBe(call);
    expect(held.changes).toEqual([]);
  });
});

describe("Registry.takeUp", () => {
  test("resumes a lease: the offers that wait are told and announced anew, and their deadlines begin anew", async () => {
    const { relay, lease, call, token, clock, changes } = resumableLease();
    const heard = leaseEvents(lease);
    const first = connect(relay);
    await settled();
    lease.suspend(call);
    const second = connect(relay);
    clock.advance(499);
    const again = takeUp(relay, { lease, token }, 1);
    expect(again.lease).toBe(lease);
    expect(again.call.mentionWaiting()).toEqual([first.id, second.id]);
    const heardAgain = leaseEvents(lease);
    await settled();
    expect(heard).toEqual([{ kind: "offer", offer: first }]);
    expect(heardAgain).toEqual([first, second].map((offer) => ({ kind: "offer", offer })));
    clock.advance(499);
    relay.accept(first.id, relay.offerToken(first), undefined);
    clock.advance(1);
    expect([first.kind, second.kind]).toEqual(["spliced", "ended"]);
    expect(changes).toEqual(["suspended", "resumed"]);
    expect(clock.timers).toBe(0);
  });

  test("tells the listener of an offer that it was told of, and that is withdrawn before it is announced anew", async () => {
    const { relay, lease, call, token } = resumableLease();
    const offer = connect(relay);
    lease.suspend(call);
    const again = takeUp(relay, { lease, token }, 1);
    again.call.mentionWaiting();
    offer.end();
    const heard = leaseEvents(lease);
    await settled();
    expect(heard).toEqual([{ kind: "withdrawn", streamId: offer.id }]);
  });

  test("fences the call before, which may look alive, and refuses one that is not newer", async () => {
    const held = resumableLease();
    const { relay, changes } = held;
    const offer = connect(relay);
    const newest = takeUp(relay, held, 2);
    expect(await endOf(held)).toMatchObject({ failure: Failure.FENCED, code: Code.Aborted });
    for (const generation of [0, 1, 2]) {
      expect(thrown(() => takeUp(relay, held, generation)).failure).toBe(Failure.FENCED);
    }
    expect(newest.call.mentionWaiting()).toEqual([offer.id]);
    expect(await promiseState(newest.call.over)).toBe("pending");
    expect(changes).toEqual([]);
  });

  test("refuses a lease that has ended, a token of another lease, and another name", () => {
    const held = resumableLease();
    const { relay } = held;
    const other = relay.listen("other", false);
    expect(thrown(() => takeUp(relay, { ...held, token: other.token }, 1)).failure).toBe(Failure.TOKEN_INVALID);
    expect(thrown(() => takeUp(relay, held, 1, "other")).failure).toBe(Failure.TOKEN_INVALID);
    held.lease.end("canceled");
    expect(thrown(() => takeUp(relay, held, 1))).toMatchObject({ failure: Failure.LEASE_GONE, code: Code.NotFound });
  });

  test("makes a lease of another process anew under its id, unless its name is taken", () => {
    const key = new Uint8Array(32).fill(1);
    const [before, after] = [newRelay({}, new TokenSigner([key])), newRelay({}, new TokenSigner([key]))];
    const old = before.relay.listen("room", true, { isResumable });
    const stranger = after.relay.listen("room", true);
    expect(thrown(() => takeUp(after.relay, old, 3)).failure).toBe(Failure.NAME_TAKEN);
    stranger.lease.end("canceled");
    const changes = changesOf(after.relay);
    const held = takeUp(after.relay, old, 3);
    expect(held.lease).toMatchObject({ id: old.lease.id, name: "room", listed: true });
    expect(thrown(() => takeUp(after.relay, old, 3)).failure).toBe(Failure.FENCED);
    takeUp(after.relay, held, 4);
    expect(changes).toEqual(["created"]);
    held.lease.end("unlisten");
    for (const { token } of [held, old]) {
      expect(thrown(() => takeUp(after.relay, { ...held, token }, 5)).failure).toBe(Failure.LEASE_GONE);
    }
    const unrelated = newRelay().relay;
    expect(thrown(() => takeUp(unrelated, old, 1)).failure).toBe(Failure.TOKEN_INVALID);
  });
});

test("Registry.unlisten ends a suspended lease, and its deadline", () => {
  const { relay, lease, call, token, clock, changes } = resumableLease();
  lease.suspend(call);
  relay.registry.unlisten(lease.id, token);
  expect(changes).toEqual(["suspended", "destroyed: unlisten"]);
  expect([relay.counts.leases, clock.timers]).toEqual([0, 0]);
});

describe("Registry.claim with an owner key", () => {
  test.each(["attached", "suspended"])(
    "takes the name over from a lease that is %s, with its offers",
    async (state) => {
      const held = resumableLease("secret");
      const { relay, changes, clock } = held;
      const [first, second] = [connect(relay), connect(relay)];
      const atClient = new Listening(first.client);
      if (state === "suspended") held.lease.suspend(held.call);
      changes.length = 0;
      const owner = relay.listen("room", false, { isResumable, ownerKey: "secret" });
      expect(changes).toEqual(["destroyed: reclaimed", "created"]);
      expect(relay.registry.byName("room")).toBe(owner.lease);
      expect((await endOf(held))?.failure).toBe(state === "attached" ? Failure.FENCED : undefined);
      const heard = leaseEvents(owner.lease);
      await settled();
      expect(heard).toEqual([first, second].map((offer) => ({ kind: "offer", offer })));
      expect(atClient.end).toBe("open");
      // With LEASE_GONE the listener would claim the name anew, and take it back from the owner's newer one.
      expect(thrown(() => takeUp(relay, held, 1, "room", "secret")).failure).toBe(Failure.FENCED);
      expect(thrown(() => takeUp(relay, held, 1, "room", "guess")).failure).toBe(Failure.NAME_TAKEN);
      relay.accept(first.id, relay.offerToken(first), undefined);
      clock.advance(500);
      expect(second.kind).toBe("ended");
      expect([owner.lease.offers, held.lease.offers, clock.timers]).toEqual([0, 0, 0]);
    },
  );

  test.each([true, false])("ends streams whose listener has no leg, if the lease is suspended: %s", (isSuspended) => {
    const { relay, lease, call, clock } = resumableLease("secret");
    const [cut, whole] = [0, 1].map(() => {
      const { splice } = relay.connect("room", { ...noFacts, capabilities: resumes });
      relay.accept(splice.id, relay.offerToken(splice), resumes);
      return { client: new Listening(splice.client), listener: new Listening(splice.listener), splice };
    });
    cut?.splice.listener.lose(callBroke());
    if (isSuspended) lease.suspend(call);
    relay.listen("room", true, { isResumable, ownerKey: "secret" });
    expect(whole?.client.end).toBe("open");
    if (isSuspended) expect(cut?.client.end).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.PEER });
    else expect(cut?.client.end).toBe("open");
    expect([relay.counts.streams, clock.timers]).toEqual(isSuspended ? [1, 0] : [2, 1]);
  });

  test("needs no room for another name", () => {
    const { relay } = newRelay({ maxNames: 1 });
    relay.listen("room", false, { ownerKey: "secret" });
    relay.listen("room", false, { ownerKey: "secret" });
    expect(relay.counts.leases).toBe(1);
  });

  test("refuses another key, and none, also where the lease has none", () => {
    const { relay } = newRelay();
    relay.listen("with a key", false, { ownerKey: "secret" });
    relay.listen("without", false);
    for (const name of ["with a key", "without"]) {
      for (const ownerKey of ["", "Secret"]) {
        expect(thrown(() => relay.listen(name, false, { ownerKey })).failure).toBe(Failure.NAME_TAKEN);
      }
    }
  });

  test("refuses a key that is too long", () => {
    const { relay } = newRelay();
    const ownerKey = "é".repeat(maxOwnerKeyBytes / 2);
    relay.listen("room", false, { ownerKey });
    const tooLong = { ownerKey: `${ownerKey}x` };
    expect(thrown(() => relay.listen("other", false, tooLong)).failure).toBe(Failure.FRAME_TOO_LARGE);
    expect(relay.counts.leases).toBe(1);
  });
});

describe("Registry.drain", () => {
  test("tells listeners that can resume, and takes their leaving for no loss", async () => {
    const held = resumableLease();
    const { relay, lease, changes } = held;
    const simple = relay.listen("simple", false);
    const [heard, heardBySimple] = [leaseEvents(lease), leaseEvents(simple.lease)];
    relay.drain(10_000);
    await settled();
    expect(heard).toEqual([{ kind: "draining", graceMs: 10_000 }]);
    expect(heardBySimple).toEqual([]);
    expect(thrown(() => takeUp(relay, held, 1)).failure).toBe(Failure.DRAINING);
    lease.suspend(held.call);
    expect(changes).toEqual(["created", "destroyed: moved"]);
  });

  test("tells the listener to leave before it hears of offers", async () => {
    const { relay, lease } = resumableLease();
    connect(relay);
    relay.drain(1);
    const heard = leaseEvents(lease);
    await settled();
    expect(heard.map(({ kind }) => kind)).toEqual(["draining", "offer"]);
  });

  test("ends suspended leases, whose listeners come back elsewhere", () => {
    const { relay, lease, call, changes, clock } = resumableLease();
    lease.suspend(call);
    relay.drain(10_000);
    expect(changes).toEqual(["suspended", "destroyed: moved"]);
    expect(clock.timers).toBe(0);
  });

  test("lets clients that can resume wait for their own move, and tells the others that the listener has gone", () => {
    const { relay, lease, call } = resumableLease();
    const movable = new Listening(relay.connect("room", canResume).splice.client);
    const simple = new Listening(connect(relay).client);
    relay.drain(10_000);
    lease.suspend(call);
    expect(movable.end).toBe("open");
    expect(simple.end).toMatchObject({ failure: Failure.LISTENER_GONE });
    relay.close();
    expect(movable.end).toMatchObject({ failure: Failure.DRAINING });
  });

  test("ends every call with an error when the relay closes", async () => {
    const held = resumableLease();
    held.relay.drain(10_000);
    const end = rejection(endOf(held).then((error) => Promise.reject(error)));
    held.relay.close();
    expect((await end).failure).toBe(Failure.DRAINING);
    expect(held.changes).toEqual(["destroyed: relay closed"]);
  });
});
