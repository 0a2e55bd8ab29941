import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import type { Caller, Claims } from "../../../../server/admission/caller.js";
import type { Authorize } from "../../../../server/admission/policy/authorize.js";
import { TokenSigner } from "../../../../server/relay/token.js";
import type { TokenKeys } from "../../../../server/relay/token-keys.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { thrown } from "../../../fakes/outcome.js";
import { callBroke, comeBack, Listening, newRelay, noFacts, resumes, someCaller } from "../../../fakes/relays.js";

const refused = { failure: Failure.NOT_PERMITTED, code: Code.Unauthenticated };
const graceMs = 120_000;
const keys: TokenKeys = [new Uint8Array(32).fill(7)];

function callerOf(subject: string): Caller {
  const facts = { name: "", meta: {}, tokenId: "", cut: false, issuedAtMs: 0, expiresAtMs: undefined };
  return { ...someCaller, claims: { ...facts, subject } };
}

/** A stream of bob at a listener, ann, whose endpoints both resume. */
function granted(signer = new TokenSigner(keys)) {
  const test = newRelay({}, signer);
  const { relay } = test;
  const { lease, token } = relay.listen("room", false, { isResumable: true, caller: callerOf("ann") });
  const facts = { ...noFacts, capabilities: resumes };
  const { splice } = relay.connect("room", facts, 0, callerOf("bob"));
  relay.accept(splice.id, relay.offerToken(splice), resumes);
  const legs = { client: new Listening(splice.client), listener: new Listening(splice.listener) };
  return { ...test, lease, token, splice, legs };
}

describe("Relay, when a token is revoked,", () => {
  test("ends the streams of a client, also one whose leg is lost, which cannot come back", () => {
    const { relay, splice, legs, clock } = granted();
    splice.client.lose(callBroke());
    expect(relay.admission.grants.revoke({ sub: "bob" })).toBe(1);
    expect(legs.listener.end).toMatchObject({ failure: Failure.LEG_LOST });
    expect(comeBack(relay, "client", splice.id).end).toMatchObject(refused);
    expect(thrown(() => comeBack(relay, "client", splice.id, { generation: 2 }))).toMatchObject(refused);
    expect([relay.counts.streams, relay.admission.grants.size, clock.timers]).toEqual([0, 1, 0]);
  });

  test("ends the name of a listener and the streams that it has taken, and it cannot take the name up again", () => {
    const { relay, lease, token, splice, legs } = granted();
    expect(relay.admission.grants.revoke({ sub: "ann" })).toBe(2);
    expect([legs.listener.end, legs.client.end]).toMatchObject([refused, { failure: Failure.LEG_LOST }]);
    expect([lease.kind, splice.kind]).toEqual(["ended", "ended"]);
    const claim = { name: "room", listed: false, isResumable: true, ownerKey: "", caller: callerOf("ann") };
    const proof = { leaseId: lease.id, leaseToken: token, generation: 1 };
    expect(thrown(() => relay.takeUp(claim, proof)).failure).toBe(Failure.LEASE_GONE);
    expect(thrown(() => relay.listen("room", false, claim))).toMatchObject(refused);
    expect(relay.counts).toEqual({ leases: 0, offers: 0, streams: 0, legs: 0 });
  });

  test("lets clients that wait at the name of its holder wait for the next listener", () => {
    const { relay } = granted();
    const waiting = relay.connect("room", noFacts, graceMs, callerOf("bob")).splice;
    const leaving = relay.connect("room", noFacts, 0, callerOf("bob")).splice;
    relay.admission.grants.revoke({ sub: "ann" });
    expect(leaving.client.error).toMatchObject({ failure: Failure.LISTENER_GONE });
    const { lease } = relay.listen("room", false, { caller: callerOf("eve") });
    expect([...lease.waiting]).toEqual([waiting]);
  });

  test("lets a caller in no more who was granted what it asked for just before", () => {
    const { relay } = granted();
    relay.admission.grants.revoke({ sub: "bob" });
    expect(thrown(() => relay.connect("room", noFacts, 0, callerOf("bob")))).toMatchObject(refused);
    expect(relay.counts.offers).toBe(0);
  });
});

describe("Relay.provenRequest", () => {
  test("tells what the holder of a token was let in for, as long as it lives", () => {
    const { relay, lease, token, splice } = granted();
    const byLeg = { streamId: splice.id, legToken: relay.legToken("client", splice.id), leaseId: "", leaseToken: "" };
    const byLease = { streamId: "", legToken: "", leaseId: lease.id, leaseToken: token };
    const ofListener = { ...byLeg, legToken: relay.legToken("listener", splice.id) };
    expect(relay.provenRequest(byLeg)).toMatchObject({ action: "connect", name: "room", claims: { subject: "bob" } });
    for (const proof of [byLease, ofListener]) {
      expect(relay.provenRequest(proof)).toMatchObject({ action: "listen", name: "room", claims: { subject: "ann" } });
    }
    const ofAnother = { ...byLease, leaseToken: relay.listen("other", false).token };
    expect(thrown(() => relay.provenRequest(ofAnother)).failure).toBe(Failure.TOKEN_INVALID);
    lease.end("unlisten");
    expect(thrown(() => relay.provenRequest(byLease)).failure).toBe(Failure.LEASE_GONE);
    // What was accepted outlives the name.
    expect(relay.provenRequest(ofListener)).toMatchObject({
      action: "listen",
      name: "room",
      claims: { subject: "ann" },
    });
    splice.end();
    for (const proof of [byLeg, ofListener]) {
      expect(thrown(() => relay.provenRequest(proof)).failure).toBe(Failure.STREAM_GONE);
    }
  });

  test("gives no token to one that had an offer which was taken elsewhere", () => {
    const { relay } = newRelay();
    const claim = { isResumable: true, ownerKey: "key", caller: callerOf("ann") };
    relay.listen("room", false, claim);
    const { splice } = relay.connect("room", { ...noFacts, capabilities: resumes }, 0, callerOf("bob"));
    const proof = { streamId: splice.id, legToken: relay.offerToken(splice), leaseId: "", leaseToken: "" };
    relay.listen("room", false, claim);
    relay.accept(splice.id, relay.offerToken(splice), resumes);
    expect(thrown(() => relay.provenRequest(proof)).failure).toBe(Failure.OFFER_GONE);
  });
});

describe("Relay, for what another process with the same keys has let in,", () => {
  /** A stream and a lease at a relay that is gone, and the relay that takes its place. */
  function restarted() {
    const { relay: before, lease, token, splice } = granted();
    const tokens = { client: before.legToken("client", splice.id), listener: before.legToken("listener", splice.id) };
    const { relay } = newRelay({}, new TokenSigner(keys));
    const back = (role: "client" | "listener") => comeBack(relay, role, splice.id, { legToken: tokens[role] });
    const takeUp = () => {
      const claim = { name: "room", listed: false, isResumable: true, ownerKey: "", caller: someCaller };
      return relay.takeUp(claim, { leaseId: lease.id, leaseToken: token, generation: 1 });
    };
    return { relay, id: splice.id, back, takeUp };
  }

  test.each([["client", "listener"] as const, ["listener", "client"] as const])(
    "knows the grants again when the %s comes back first, and ends what lives by them",
    (first, second) => {
      const { relay, id, back, takeUp } = restarted();
      const legs = [back(first), back(second)];
      const { lease } = takeUp();
      expect(relay.admission.grants.size).toBe(3);
      const proof = { streamId: id, legToken: relay.legToken("client", id), leaseId: "", leaseToken: "" };
      expect(relay.provenRequest(proof)).toMatchObject({ name: "room", claims: { subject: "bob" } });
      expect(relay.admission.grants.revoke({ sub: "ann" })).toBe(2);
      const byRole = { [first]: legs[0], [second]: legs[1] };
      expect([byRole.listener?.end, lease.kind]).toMatchObject([refused, "ended"]);
      expect(byRole.client?.end).toMatchObject({ failure: Failure.LEG_LOST });
      expect(relay.admission.grants.size).toBe(0);
    },
  );

  test("lets a newer token of a name count for the streams that were accepted through it, and no others", () => {
    const { relay, id, back, takeUp } = restarted();
    for (const role of ["client", "listener"] as const) back(role);
    const { lease } = takeUp();
    const claims = lease.caller.claims as Claims;
    relay.admission.grants.renew(claims, { ...claims, cut: true, expiresAtMs: Date.now() + 60_000 });
    expect(relay.accessExpiresInMs("listener", id)).toBeGreaterThan(0);
    expect(relay.accessExpiresInMs("client", id)).toBeUndefined();
    relay.close();
  });

  test("knows when a token ends what it has opened", () => {
    const { relay: before } = newRelay({}, new TokenSigner(keys));
    before.listen("room", false);
    const { claims } = callerOf("bob");
    const caller = { ...someCaller, claims: claims && { ...claims, cut: true, expiresAtMs: Date.now() + 60_000 } };
    const { splice } = before.connect("room", { ...noFacts, capabilities: resumes }, 0, caller);
    const legToken = before.legToken("client", splice.id);
    const { relay, clock } = newRelay({}, new TokenSigner(keys));
    comeBack(relay, "client", splice.id, { legToken });
    expect(relay.accessExpiresInMs("client", splice.id)).toBeGreaterThan(0);
    expect(relay.accessExpiresInMs("client", splice.id)).toBeLessThanOrEqual(60_000);
    relay.close();
    expect(clock.timers).toBe(0);
  });

  test.each(["client", "listener"] as const)(
    "lets no %s come back that nobody let in, where it has a policy",
    (role) => {
      const { relay: before } = newRelay({}, new TokenSigner(keys));
      before.listen("room", false, { isResumable: true });
      const { splice } = before.connect("room", { ...noFacts, capabilities: resumes }, 0);
      before.accept(splice.id, before.offerToken(splice), resumes);
      const legToken = before.legToken(role, splice.id);
      const { relay, clock } = newRelay({}, new TokenSigner(keys), () => ({}));
      expect(thrown(() => comeBack(relay, role, splice.id, { legToken }))).toMatchObject(refused);
      expect([relay.counts.streams, clock.timers]).toEqual([0, 0]);
      // A client that has not heard of its listener yet names what it asks for, and the policy has let it in.
      if (role === "client") comeBack(relay, role, splice.id, { legToken, name: "room" });
      relay.close();
    },
  );

  test("lets nothing come back by a token that is revoked", () => {
    const { relay, back, takeUp } = restarted();
    relay.admission.grants.revoke({ issuedBefore: Date.now() });
    for (const comes of [() => back("client"), () => back("listener"), takeUp]) {
      expect(thrown(comes)).toMatchObject(refused);
    }
    expect(relay.counts).toEqual({ leases: 0, offers: 0, streams: 0, legs: 0 });
  });
});

describe("Relay.admitTakeUp", () => {
  const later = Date.now() + 60_000;

  /** A lease that another process has let in by a grant, and a relay whose policy lets nobody in. */
  function guarded(expiresAtMs: number | undefined, hasGrant = true) {
    const { claims } = callerOf("ann");
    const caller = { ...someCaller, claims: hasGrant && claims ? { ...claims, expiresAtMs } : undefined };
    const { lease, token } = newRelay({}, new TokenSigner(keys)).relay.listen("room", false, { caller });
    const asked: string[] = [];
    const authorize: Authorize = ({ action, name, token: accessToken }) => {
      asked.push(`${action} ${name} ${accessToken}`);
      throw new StreamError("nobody may");
    };
    const { relay } = newRelay({}, new TokenSigner(keys), authorize);
    const request = { action: "listen", name: "room", token: "mine", caller: someCaller, metadata: {} } as const;
    const proof = { leaseId: lease.id, leaseToken: token, generation: 1 };
    const claim = { name: "room", listed: false, isResumable: true, ownerKey: "", caller: someCaller };
    return { relay, asked, request, proof, claim, comes: () => relay.admitTakeUp(request, proof) };
  }

  test.each([
    ["has expired", Date.now() - 1, true],
    ["does not say when it ends", undefined, true],
    ["is none", undefined, false],
  ])("asks about a lease of another process whose grant %s, as about a new name", (_what, expiresAtMs, hasGrant) => {
    const { asked, comes } = guarded(expiresAtMs, hasGrant);
    expect(thrown(comes).failure).toBe(Failure.NOT_PERMITTED);
    expect(asked).toEqual(["listen room mine"]);
  });

  test("asks about a lease whose grant was revoked here", () => {
    const { relay, asked, comes } = guarded(later);
    relay.admission.grants.revoke({ sub: "ann" });
    expect(thrown(comes).failure).toBe(Failure.NOT_PERMITTED);
    expect(asked).toHaveLength(1);
  });

  test("asks nobody about a lease whose grant still holds, and one that is here", () => {
    const { relay, asked, claim, proof, comes } = guarded(later);
    expect(comes()).toEqual({ caller: someCaller, metadata: {} });
    const { lease } = relay.takeUp(claim, proof);
    expect(lease.caller.claims).toMatchObject({ subject: "ann", expiresAtMs: later });
    relay.admission.grants.renew(lease.caller.claims as never, { ...callerOf("ann").claims, expiresAtMs: 1 } as never);
    comes();
    lease.end("unlisten");
    comes();
    expect(asked).toEqual([]);
    expect(thrown(() => relay.takeUp(claim, { ...proof, generation: 2 })).failure).toBe(Failure.LEASE_GONE);
  });

  test("refuses a token that is none before it asks", () => {
    const { relay, asked, request, proof } = guarded(1);
    const forged = { ...proof, leaseToken: `${proof.leaseToken}x` };
    expect(thrown(() => relay.admitTakeUp(request, forged)).failure).toBe(Failure.TOKEN_INVALID);
    expect(asked).toEqual([]);
  });

  test("leaves the lease to the grant of the newer access token", () => {
    const { relay, claim, proof } = guarded(1);
    const { lease } = relay.takeUp({ ...claim, caller: callerOf("eve") }, proof);
    expect(lease.caller.claims?.subject).toBe("eve");
  });
});
