import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { Code, Failure } from "browser-stream-server";
import { Feature, RelayService } from "browser-stream-server/gen";
import { afterEach, describe, expect, test } from "vitest";
import { frame, open, proof, RawListener, refusal, refused } from "../raw-calls.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { until } from "../until.js";
import { http2Ways } from "../ways.js";
import { type Carrier, carriers, WireLeg } from "../wire-leg.js";

const name = "room";
const capabilities = { features: [Feature.RESUME, Feature.CREDIT, Feature.ACK] };
const tokenKeys = [new Uint8Array(32).fill(7)];
const message = (text: string) => ({ data: new TextEncoder().encode(text), text: true });
const data = (sequence: number, ack = 0) =>
  frame({ sequence: BigInt(sequence), ack: BigInt(ack), messages: [message(`${sequence}`)] });
const fin = (sequence: number, ack: number) => frame({ sequence: BigInt(sequence), ack: BigInt(ack), fin: true });

/** Carriers, each with the one on which its endpoint comes back. */
const changes = carriers.map((carrier, at) => ({
  from: carrier,
  to: carriers[(at + 1) % carriers.length] as Carrier,
}));

const closers: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

type Rpc = "Connect" | "Accept";

/** The token of a stream's leg, as its endpoint has it. */
interface Proof {
  streamId: string;
  legToken: string;
}

async function openTestRelay(options: Parameters<typeof openRelay>[0] = {}): Promise<TestRelay> {
  const relay = await openRelay(options);
  closers.push(() => relay.close());
  return relay;
}

function callsTo(relay: TestRelay): Client<typeof RelayService> {
  const way = http2Ways["Connect over HTTP/2"](relay.url);
  closers.push(() => way.close());
  return createClient(RelayService, way.transport as Transport);
}

/** Opens a leg, and resolves with it and the proof that the relay answers with. */
async function openLeg(relay: TestRelay, carrier: Carrier, rpc: Rpc, first: ReturnType<typeof open>) {
  const leg = await WireLeg.open(carrier, relay, rpc);
  closers.push(() => leg.close());
  leg.write(leg.encoded(first));
  const opened = await leg.next();
  if (typeof opened !== "object" || opened.case !== "opened") throw new Error(`the leg ended with ${opened}`);
  const { streamId, legToken } = opened.value;
  return { leg, proof: { streamId, legToken } };
}

function comeBack(
  relay: TestRelay,
  carrier: Carrier,
  rpc: Rpc,
  proof: Proof,
  { generation = 1, receivedSequence = 0 } = {},
) {
  const resume = { generation, receivedSequence: BigInt(receivedSequence) };
  return openLeg(relay, carrier, rpc, open({ ...proof, capabilities, resume }));
}

/** A stream between two legs, and the proofs of both. */
async function paired(relay: TestRelay, carrier: Carrier) {
  const listener = new RawListener(callsTo(relay), name);
  await listener.event("registered");
  const client = await openLeg(relay, carrier, "Connect", open({ name, capabilities }));
  const offer = await listener.event("offer");
  const accepted = await openLeg(relay, carrier, "Accept", open({ ...proof(offer), capabilities }));
  expect(await heard(client.leg)).toBe("accepted");
  await listener.close();
  return { Connect: client, Accept: accepted };
}

/**
 * Resolves with a short form of the next message of a leg, in which the rest of a long grace period is in whole
 * seconds.
 */
async function heard(leg: WireLeg): Promise<unknown> {
  const next = await leg.next();
  if (typeof next !== "object") return next;
  if (next.case === "suspended") {
    const { graceMs } = next.value;
    return `suspended ${graceMs > 1_000 ? 1_000 * Math.ceil(graceMs / 1_000) : graceMs}`;
  }
  if (next.case === "resumed") return `resumed ${next.value.receivedSequence}`;
  if (next.case !== "frame") return next.case;
  const { sequence, reset, fin: isFin } = next.value;
  return reset === undefined ? `${isFin ? "fin" : "data"} ${sequence}` : `reset: ${reset.reason}`;
}

describe.each(changes)("A leg over $from.name that comes back over $to.name", ({ from, to }) => {
  test.each([
    ["client", "Connect", "Accept", "close"],
    ["client", "Connect", "Accept", "cancel"],
    ["listener", "Accept", "Connect", "close"],
    ["listener", "Accept", "Connect", "cancel"],
  ] as const)("lets the stream of the %s go on (%s, %s, %s)", async (_who, rpc, peerRpc, cut) => {
    const relay = await openTestRelay();
    const { [rpc]: mine, [peerRpc]: peers } = await paired(relay, from);
    mine.leg.write(mine.leg.encoded(data(1)));
    expect(await heard(peers.leg)).toBe("data 1");
    peers.leg.write(peers.leg.encoded(data(1, 1)), peers.leg.encoded(data(2)));
    expect(await heard(mine.leg)).toBe("data 1");
    mine.leg[cut]();
    expect(await heard(peers.leg)).toBe("suspended 120000");
    expect(relay.proxy.counts).toMatchObject({ streams: 1, legs: 1 });
    const { leg } = await comeBack(relay, to, rpc, mine.proof, { receivedSequence: 1 });
    expect([await heard(leg), await heard(peers.leg)]).toEqual(["resumed 1", "resumed 1"]);
    peers.leg.write(peers.leg.encoded(data(2)), peers.leg.encoded(fin(3, 1)));
    expect([await heard(leg), await heard(leg)]).toEqual(["data 2", "fin 3"]);
    leg.write(leg.encoded(fin(2, 3)));
    expect(await heard(peers.leg)).toBe("fin 2");
    for (const each of [leg, peers.leg]) each.endRequest();
    expect([await heard(leg), await heard(peers.leg)]).toEqual(["well", "well"]);
    await holdsNothing(relay, "links");
  });

  test("gets a fin that was lost with the connection, although it has sent its own", async () => {
    const relay = await openTestRelay();
    const { Connect: client, Accept: listener } = await paired(relay, from);
    client.leg.write(client.leg.encoded(fin(1, 0)));
    expect(await heard(listener.leg)).toBe("fin 1");
    listener.leg.write(listener.leg.encoded(fin(1, 1)));
    expect(await heard(client.leg)).toBe("fin 1");
    // The client has not acknowledged it: for the listener it is lost with the leg.
    client.leg.close();
    expect(await heard(listener.leg)).toBe("suspended 120000");
    const { leg } = await comeBack(relay, to, "Connect", client.proof);
    expect([await heard(leg), await heard(listener.leg)]).toEqual(["resumed 1", "resumed 0"]);
    listener.leg.write(listener.leg.encoded(fin(1, 1)));
    expect(await heard(leg)).toBe("fin 1");
    for (const each of [leg, listener.leg]) each.endRequest();
    expect([await heard(leg), await heard(listener.leg)]).toEqual(["well", "well"]);
    await holdsNothing(relay, "links");
  });

  test("takes the place of the older one, although the connection of that one is open", async () => {
    const relay = await openTestRelay();
    const { Connect: client, Accept: listener } = await paired(relay, from);
    const { leg, proof: newest } = await comeBack(relay, to, "Connect", client.proof, { generation: 3 });
    expect(await heard(client.leg)).toBe(Failure.FENCED);
    expect([await heard(leg), await heard(listener.leg)]).toEqual(["resumed 0", "resumed 0"]);
    client.leg.write(client.leg.encoded(data(1)));
    leg.write(leg.encoded(data(1)));
    leg.write(leg.encoded(data(2)));
    expect([await heard(listener.leg), await heard(listener.leg)]).toEqual(["data 1", "data 2"]);
    await expect(comeBack(relay, to, "Connect", newest, { generation: 2 })).rejects.toThrow(`${Failure.FENCED}`);
    leg.write(leg.encoded(frame({ reset: { code: Code.Aborted } })));
    client.leg.close();
    expect(await heard(leg)).toBe("well");
    await holdsNothing(relay, "links");
  });

  test.each(["Connect", "Accept"] as const)(
    "meets its peer in another relay with the same key, %s first",
    async (rpc) => {
      const before = await openTestRelay({ tokenKeys });
      const legs = await paired(before, from);
      await before.close();
      const relay = await openTestRelay({ tokenKeys });
      const first = await comeBack(relay, to, rpc, legs[rpc].proof, { receivedSequence: 4 });
      expect(await heard(first.leg)).toBe("suspended 120000");
      const peerRpc = rpc === "Connect" ? "Accept" : "Connect";
      const second = await comeBack(relay, to, peerRpc, legs[peerRpc].proof, { receivedSequence: 2 });
      expect([await heard(first.leg), await heard(second.leg)]).toEqual(["resumed 2", "resumed 4"]);
      first.leg.write(first.leg.encoded(data(3)));
      expect(await heard(second.leg)).toBe("data 3");
      // The fins were said in the other process.
      for (const { leg } of [first, second]) leg.write(leg.encoded(fin(4, 0)));
      expect([await heard(first.leg), await heard(second.leg)]).toEqual(["fin 4", "fin 4"]);
      for (const { leg } of [first, second]) leg.endRequest();
      expect([await heard(first.leg), await heard(second.leg)]).toEqual(["well", "well"]);
      await holdsNothing(relay, "links");
    },
  );

  test("hears of a reset that came while it was away", async () => {
    const relay = await openTestRelay();
    const { Connect: client, Accept: listener } = await paired(relay, from);
    client.leg.close();
    expect(await heard(listener.leg)).toBe("suspended 120000");
    listener.leg.write(listener.leg.encoded(frame({ reset: { code: Code.Aborted, reason: "enough" } })));
    expect(await heard(listener.leg)).toBe("well");
    const { leg } = await comeBack(relay, to, "Connect", client.proof);
    expect([await heard(leg), await heard(leg)]).toEqual(["reset: enough", "well"]);
    await holdsNothing(relay, "links");
  });
});

describe("A relay that drains", () => {
  test.each(carriers)("tells both endpoints of a stream over $name, which meet again elsewhere", async (carrier) => {
    const relay = await openTestRelay({ tokenKeys });
    const next = await openTestRelay({ tokenKeys });
    const { Connect: client, Accept: listener } = await paired(relay, carrier);
    const drained = relay.proxy.drain();
    expect([await heard(client.leg), await heard(listener.leg)]).toEqual(["draining", "draining"]);
    // Nothing new is taken, neither a leg nor a link for it.
    await expect(comeBack(relay, carrier, "Connect", client.proof)).rejects.toThrow();
    // The old leg goes on until the new one is there.
    client.leg.write(client.leg.encoded(data(1)));
    expect(await heard(listener.leg)).toBe("data 1");
    const moved = await comeBack(next, carrier, "Connect", client.proof);
    expect(await heard(moved.leg)).toBe("suspended 120000");
    client.leg.cancel();
    expect(await heard(listener.leg)).toBe("suspended 120000");
    const peer = await comeBack(next, carrier, "Accept", listener.proof, { receivedSequence: 1 });
    expect([await heard(moved.leg), await heard(peer.leg)]).toEqual(["resumed 1", "resumed 0"]);
    listener.leg.cancel();
    await drained;
    moved.leg.write(moved.leg.encoded(data(2)));
    expect(await heard(peer.leg)).toBe("data 2");
  });

  test("retires the connections of legs over HTTP/2", async () => {
    const relay = await openTestRelay();
    const legs = await paired(relay, carriers[0] as Carrier);
    const drained = relay.proxy.drain();
    await Promise.all(Object.values(legs).map(({ leg }) => leg.retired));
    relay.proxy.close();
    await drained;
  });
});

describe("Reject", () => {
  test.each(["Connect", "Accept"] as const)("with the token of the leg of %s ends a stream at once", async (rpc) => {
    const relay = await openTestRelay();
    const legs = await paired(relay, carriers[0] as Carrier);
    const calls = callsTo(relay);
    const [mine, peers] = [legs[rpc], legs[rpc === "Connect" ? "Accept" : "Connect"]];
    mine.leg.close();
    expect(await heard(peers.leg)).toBe("suspended 120000");
    const rejection = { ...mine.proof, code: Code.DataLoss, reason: "enough", failure: Failure.MESSAGE_TOO_LARGE };
    await calls.reject(rejection);
    expect([await heard(peers.leg), await heard(peers.leg)]).toEqual(["reset: enough", "well"]);
    const gone = refusal(Code.FailedPrecondition, Failure.OFFER_GONE);
    expect(await refused(calls.reject(rejection))).toEqual(gone);
    await expect(comeBack(relay, carriers[0] as Carrier, rpc, mine.proof)).rejects.toThrow(`${Failure.STREAM_GONE}`);
    await holdsNothing(relay);
  });
});

test("A stream whose endpoint does not come back within the grace period ends for its peer", async () => {
  const relay = await openTestRelay({ limits: { graceMs: 50 } });
  const { Connect: client, Accept: listener } = await paired(relay, carriers[0] as Carrier);
  client.leg.close();
  expect([await heard(listener.leg), await heard(listener.leg)]).toEqual(["suspended 50", Failure.LEG_LOST]);
  await until(() => relay.proxy.counts.streams === 0);
  await holdsNothing(relay);
});
