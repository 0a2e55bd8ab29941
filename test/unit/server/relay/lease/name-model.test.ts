import { describe, expect, test } from "vitest";
import type { Held, NameChange } from "../../../../../server/relay/lease/registry.js";
import { TokenSigner } from "../../../../../server/relay/token.js";
import { StreamError } from "../../../../../stream/error/stream-error.js";
import { newRelay, noFacts, someCaller } from "../../../../fakes/relays.js";
import { Random } from "../../../../fakes/traffic/mutations.js";

const names = ["a", "b"];
const owners = ["", "tab 1", "tab 2"];
const limits = { graceMs: 1_000, acceptTimeoutMs: 200, maxOffersPerName: 4, maxWaitingOffers: 6 };
const steps = 400;
const seeds = 60;

/** A listener, with all that it has been told. Its call may have broken, or been fenced, without its notice. */
interface Party extends Held {
  owner: string;
  generation: number;
}

/** The life of each lease, as the changes of names tell it. */
class Lives {
  readonly #holders = new Map<string, string>();
  readonly #kinds = new Map<string, NameChange["kind"]>();

  change({ kind, lease: { id, name } }: NameChange): void {
    const before = this.#kinds.get(id);
    const allowed: Record<NameChange["kind"], (NameChange["kind"] | undefined)[]> = {
      created: [undefined],
      suspended: ["created", "resumed"],
      resumed: ["suspended"],
      destroyed: ["created", "suspended", "resumed"],
    };
    expect(allowed[kind], `${kind} after ${before}`).toContain(before);
    this.#kinds.set(id, kind);
    if (kind === "created") {
      expect(this.#holders.get(name), "a second holder").toBeUndefined();
      this.#holders.set(name, id);
    } else expect(this.#holders.get(name)).toBe(id);
    if (kind === "destroyed") this.#holders.delete(name);
  }

  get size(): number {
    return this.#holders.size;
  }
}

/** Plays claims, breaks, resumes, reclaims, clients and time in an order that the seed decides. */
function play(seed: number): void {
  const random = new Random(seed);
  const { relay, clock } = newRelay(limits, new TokenSigner([new Uint8Array(32)]));
  const foreign = newRelay(limits, new TokenSigner([new Uint8Array(32)])).relay;
  const lives = new Lives();
  relay.registry.observe((change) => lives.change(change));
  const parties: Party[] = [];
  const attempt = (action: () => void) => {
    try {
      action();
    } catch (reason) {
      if (!(reason instanceof StreamError)) throw reason;
    }
  };
  const join = (held: Held, owner: string, generation = 0) => void parties.push({ ...held, owner, generation });
  const claim = () => {
    const owner = random.pick(owners);
    join(
      relay.listen(random.pick(names), random.chance(50), { isResumable: random.chance(80), ownerKey: owner }),
      owner,
    );
  };
  const takeUp = () => {
    const party = random.pick(parties);
    const { lease, token, owner } = party;
    const generation = random.chance(80) ? party.generation + 1 : random.below(3);
    const claimed = { name: lease.name, listed: lease.listed, isResumable: true, ownerKey: owner, caller: someCaller };
    const held = relay.takeUp(claimed, { leaseId: lease.id, leaseToken: token, generation });
    join(held, owner, generation);
  };
  const hangUp = ({ lease, call }: Party, end: "canceled" | "lost") => {
    const before = lease.call;
    if (call.isResumable && end === "lost") lease.suspend(call);
    else lease.leave(call, end);
    if (before !== call) expect(lease.call, "a fenced call ended another").toBe(before);
  };
  const actions = [
    claim,
    takeUp,
    takeUp,
    () => join(foreign.listen(random.pick(names), true, { isResumable: true, ownerKey: "tab 1" }), "tab 1"),
    () => hangUp(random.pick(parties), "lost"),
    () => hangUp(random.pick(parties), "canceled"),
    () => {
      const { lease, token } = random.pick(parties);
      relay.registry.unlisten(lease.id, token);
    },
    () => void relay.connect(random.pick(names), noFacts, random.pick([0, 0, 300, 3_000])),
    () => {
      const [offer] = relay.registry.byName(random.pick(names)).waiting;
      if (offer !== undefined) relay.accept(offer.id, relay.offerToken(offer), undefined).end(undefined);
    },
    () => clock.advance(random.below(400)),
  ];
  for (let step = 0; step < steps; step += 1) {
    attempt(parties.length === 0 ? claim : random.pick(actions));
    const open = parties.filter(({ lease, call }) => lease.call === call && relay.registry.byId(lease.id) === lease);
    for (const name of names) {
      const holders = new Set(open.filter(({ lease }) => lease.name === name).map(({ call }) => call));
      expect(holders.size, `calls that hold ${name}`).toBeLessThanOrEqual(1);
    }
    expect(relay.counts.leases).toBe(lives.size);
    expect(relay.counts.offers).toBeLessThanOrEqual(names.length * limits.maxOffersPerName);
  }
  relay.close();
  expect(lives.size).toBe(0);
  expect(relay.counts).toMatchObject({ leases: 0, offers: 0, streams: 0 });
  expect(clock.timers).toBe(0);
}

describe("a name has one holder at any moment, and each lease one life", () => {
  test.each(Array.from({ length: seeds }, (_, seed) => seed))("in the history of seed %i", (seed) => play(seed));
});
