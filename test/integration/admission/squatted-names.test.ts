import { once } from "node:events";
import { type Client, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Code, Failure } from "browser-stream-server";
import { Feature, type Registered, RelayService } from "browser-stream-server/gen";
import { mintToken, tokenPolicy } from "browser-stream-server/server";
import { afterEach, describe, expect, test } from "vitest";
import { accessSecret as secret } from "../../fakes/access-keys.js";
import { open, openOffer, RawLeg, RawListener, refusal, refused } from "../raw-calls.js";
import { openRelay } from "../relay-ports.js";

const name = "user/ann";
const capabilities = { features: [Feature.RESUME] };
const ownerKey = "only ann knows it";
const taken = refusal(Code.AlreadyExists, Failure.NAME_TAKEN);
const notPermitted = refusal(Code.PermissionDenied, Failure.NOT_PERMITTED);
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A relay, with a policy under which each may listen on a name of its own. */
async function relayWith(policy: "a policy" | "no policy") {
  const relay = await openRelay(policy === "a policy" ? { authorize: tokenPolicy({ secret, anonymous }) } : {});
  closers.push(() => relay.close());
  const client = createClient(RelayService, createConnectTransport({ baseUrl: relay.url, httpVersion: "2" }));
  const tokenOf = (subject: string) => mintToken({ secret, subject, streams: { "user/{sub}": ["listen"] } });
  const [anns, eves] = [await tokenOf("ann"), await tokenOf("eve")];
  const owner = { name, capabilities, ownerKey, accessToken: anns };
  // Whoever squats has tried every key that it knows: none, and one of its own.
  const squatters = ["", "eve's own"].map((key) => ({ name, capabilities, ownerKey: key, accessToken: eves }));
  return { relay, client, owner, squatters };
}
const anonymous = { "user/*": ["connect"] } as const;

type Claim = ConstructorParameters<typeof RawListener>[1];

async function claimed(client: Client<typeof RelayService>, claim: Claim) {
  const listener = new RawListener(client, claim);
  closers.push(() => listener.close());
  return { listener, registered: await listener.event("registered") };
}

const proofOf = ({ leaseId, leaseToken }: Registered) => ({ leaseId, leaseToken });
const takingUp = (registered: Registered) => ({ ...proofOf(registered), generation: 1 });

describe.each(["a policy", "no policy"] as const)("with %s, a name", (policy) => {
  test("in the grace of its owner is nobody else's, and its owner comes back to the clients that wait", async () => {
    const { relay, client, owner, squatters } = await relayWith(policy);
    const { listener, registered } = await claimed(client, owner);
    const suspended = once(relay.proxy, "server.suspended");
    await listener.close();
    await suspended;
    const waiting = new RawLeg(client, "connect", open({ name }));
    closers.push(() => waiting.cancel());
    const { streamId } = await waiting.receive("opened");
    for (const squatter of squatters) {
      expect(await refused(client.listen(squatter))).toEqual(policy === "a policy" ? notPermitted : taken);
      const guessing = { ...squatter, ...takingUp({ ...registered, leaseToken: "guessed" }) };
      expect(await refused(client.listen(guessing))).toEqual(refusal(Code.PermissionDenied, Failure.TOKEN_INVALID));
    }
    const back = await claimed(client, { ...owner, ...takingUp(registered) });
    expect(back.registered).toMatchObject({ leaseId: registered.leaseId, waitingStreamIds: [streamId] });
    const accepting = new RawLeg(client, "accept", openOffer(await back.listener.event("offer")));
    closers.push(() => accepting.cancel());
    await waiting.receive("accepted");
  });

  test("whose owner listens is taken over with the key of its owner, and by nobody else", async () => {
    const { client, owner, squatters } = await relayWith(policy);
    const { listener } = await claimed(client, owner);
    for (const squatter of squatters) {
      expect(await refused(client.listen(squatter))).toEqual(policy === "a policy" ? notPermitted : taken);
    }
    const reloaded = await claimed(client, owner);
    expect(await refused(listener.rest())).toEqual(refusal(Code.Aborted, Failure.FENCED));
    await client.unlisten(proofOf(reloaded.registered));
  });
});

describe.each(["before its owner comes", "after its owner has given it back"])("a name, %s,", (window) => {
  async function inWindow(policy: "a policy" | "no policy") {
    const test = await relayWith(policy);
    if (window === "before its owner comes") return { ...test, old: undefined };
    const { registered } = await claimed(test.client, test.owner);
    await test.client.unlisten(proofOf(registered));
    return { ...test, old: registered };
  }

  test("is kept for its owner by a policy", async () => {
    const { client, owner, squatters, relay } = await inWindow("a policy");
    for (const squatter of squatters) expect(await refused(client.listen(squatter))).toEqual(notPermitted);
    expect(relay.proxy.counts.leases).toBe(0);
    await claimed(client, owner);
  });

  test("is of whoever comes first without one, and its owner hears so", async () => {
    const { client, owner, squatters, old, relay } = await inWindow("no policy");
    const [, squatter] = squatters;
    const { registered } = await claimed(client, squatter as Claim);
    expect(await refused(client.listen(owner))).toEqual(taken);
    // The token of the lease that has ended gives its owner nothing back, and takes nothing from anybody.
    if (old !== undefined) expect(await refused(client.listen({ ...owner, ...takingUp(old) }))).toEqual(taken);
    expect(relay.proxy.counts.leases).toBe(1);
    await client.unlisten(proofOf(registered));
    await claimed(client, owner);
  });
});
