import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { Failure } from "browser-stream-server";
import { RelayService } from "browser-stream-server/gen";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { envelope } from "../../../leg/envelope.js";
import { frame, open, openOffer, RawListener } from "../raw-calls.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { http2Ways, type Way } from "../ways.js";
import { type Carrier, carriers, WireLeg } from "../wire-leg.js";

const { FRAME_TOO_LARGE, PROTOCOL_VIOLATION, LEG_LOST } = Failure;
const name = "room";

let relay: TestRelay;
let way: Way;
let relayClient: Client<typeof RelayService>;
let listener: RawListener;
let legs: WireLeg[] = [];

beforeAll(async () => {
  relay = await openRelay();
  way = http2Ways["Connect over HTTP/2"](relay.url);
  relayClient = createClient(RelayService, way.transport as Transport);
  listener = new RawListener(relayClient, name);
  await listener.event("registered");
});

afterEach(() => {
  for (const leg of legs) leg.close();
  legs = [];
});

afterAll(async () => {
  await listener.close();
  way.close();
  await holdsNothing(relay);
  await relay.close();
});

async function openLeg(carrier: Carrier, rpc: "Connect" | "Accept"): Promise<WireLeg> {
  const leg = await WireLeg.open(carrier, relay, rpc);
  legs.push(leg);
  return leg;
}

async function accept(carrier: Carrier): Promise<WireLeg> {
  const offer = await listener.event("offer");
  const leg = await openLeg(carrier, "Accept");
  leg.write(leg.encoded(openOffer(offer)));
  expect(await heard(leg)).toBe("opened");
  return leg;
}

/** The two legs of a stream that was accepted: that of the sender, and that of its peer. */
async function paired(from: Carrier, to: Carrier, sender: "client" | "listener"): Promise<[WireLeg, WireLeg]> {
  const [atClient, atListener] = sender === "client" ? [from, to] : [to, from];
  const client = await openLeg(atClient, "Connect");
  client.write(client.encoded(open({ name })));
  const accepted = await accept(atListener);
  expect(await heardNext(client, 2)).toEqual(["opened", "accepted"]);
  return sender === "client" ? [client, accepted] : [accepted, client];
}

/** Resolves with a short form of the next message on a leg. The form of a frame tells it from other frames. */
async function heard(leg: WireLeg): Promise<unknown> {
  const next = await leg.next();
  if (typeof next !== "object") return next;
  if (next.case !== "frame") return next.case;
  const { sequence, messages, fin, reset } = next.value;
  if (reset !== undefined) return `reset: ${reset.reason}`;
  return [Number(sequence), ...messages.map(({ data }) => Buffer.from(data).toString()), ...(fin ? ["fin"] : [])];
}

async function heardNext(leg: WireLeg, count: number): Promise<unknown[]> {
  const all: unknown[] = [];
  while (all.length < count) all.push(await heard(leg));
  return all;
}

const message = (text: string) => ({ data: new TextEncoder().encode(text), text: true });
const first = frame({ sequence: 1n, messages: [message("one"), message("two")] });
const fin = frame({ sequence: 2n, fin: true });
/** The bytes of a frame's field in a message of a leg, and of a field of a frame. */
const field = (number: number, ...bytes: number[]) => [number * 8 + 2, bytes.length, ...bytes];
const binary = (...bytes: number[]) => envelope(0, new Uint8Array(bytes));
const json = (value: unknown) => envelope(0, new TextEncoder().encode(JSON.stringify(value)));

/** Bytes that end the leg of their sender with a failure, and whether the body goes on or ends after them. */
const faults: [title: string, bytes: (leg: WireLeg) => Uint8Array, then: "on" | "end", failure: Failure][] = [
  [
    "a frame over the limit",
    (leg) =>
      leg.encoded(frame({ sequence: 1n, messages: [{ data: new Uint8Array(relay.proxy.limits.maxFrameBytes) }] })),
    "on",
    FRAME_TOO_LARGE,
  ],
  ["a length over the limit", () => new Uint8Array([0, 255, 255, 255, 255]), "on", FRAME_TOO_LARGE],
  ["a length that is too small", (leg) => withLength(leg.encoded(first), 3).subarray(0, 8), "on", PROTOCOL_VIOLATION],
  ["a length that is too large", (leg) => withLength(leg.encoded(first), 200), "end", PROTOCOL_VIOLATION],
  ["a body that ends within a head", () => new Uint8Array(3), "end", PROTOCOL_VIOLATION],
  ["a body that ends within a message", (leg) => leg.encoded(first).subarray(0, -1), "end", PROTOCOL_VIOLATION],
  [
    "a body that ends within a message after fin",
    (leg) => Buffer.concat([leg.encoded(frame({ sequence: 1n, fin: true })), leg.encoded(first).subarray(0, 9)]),
    "end",
    PROTOCOL_VIOLATION,
  ],
  ["a compressed flag", (leg) => withFlags(leg.encoded(first), 1), "on", PROTOCOL_VIOLATION],
  ["bytes that are no message", () => binary(255, 255, 255), "on", PROTOCOL_VIOLATION],
  [
    "a reset that cannot be read",
    ({ format }) => (format === "JSON" ? json({ frame: { reset: 7 } }) : binary(...field(2, ...field(6, 0x12, 9)))),
    "on",
    PROTOCOL_VIOLATION,
  ],
];

function withLength(bytes: Uint8Array, length: number): Uint8Array {
  return new Uint8Array([0, 0, 0, 0, length, ...bytes.subarray(5)]);
}

function withFlags(bytes: Uint8Array, flags: number): Uint8Array {
  return new Uint8Array([flags, ...bytes.subarray(1)]);
}

const pairs = carriers.flatMap((from) =>
  carriers.map((to): [string, string, Carrier, Carrier] => [from.name, to.name, from, to]),
);

describe.each(pairs)("%s to %s", (_from, _to, from, to) => {
  describe.each(["client", "listener"] as const)("from the %s", (sender) => {
    test.each(faults)("%s ends both legs, and passes nothing on", async (_title, bytes, then, failure) => {
      const [sending, peer] = await paired(from, to, sender);
      sending.write(bytes(sending));
      if (then === "end") sending.endRequest();
      expect(await heard(sending)).toBe(failure);
      const last = await heard(peer);
      // A whole frame before the fault arrives.
      expect(Array.isArray(last) ? await heard(peer) : last).toBe(LEG_LOST);
    });

    test("frames that are cut anywhere arrive whole, in order, and as they were", async () => {
      const [sending, peer] = await paired(from, to, sender);
      const sent = [first, fin].map((next) => sending.encoded(next));
      for (const byte of Buffer.concat(sent)) sending.write(new Uint8Array([byte]));
      expect(await heardNext(peer, 2)).toEqual([
        [1, "one", "two"],
        [2, "fin"],
      ]);
      if (from.format === "binary" && to.format === "binary") {
        expect(peer.received.slice(-2).map((data) => envelope(0, data))).toEqual(sent);
      }
    });

    test("unknown fields of a frame pass, and messages of an unknown kind do not", async () => {
      const [sending, peer] = await paired(from, to, sender);
      const unknown = field(15, 1, 2, 3);
      const frameBytes = field(2, 0x08, 1, ...field(4, ...field(1, 65), ...unknown), ...unknown);
      // In a response, the fields from 3 on are those that only the relay sends: accepted, suspended and resumed.
      if (from.format === "JSON") {
        for (const kind of ["accepted", "suspended", "resumed", "unheardOf"]) sending.write(json({ [kind]: {} }));
        sending.write(json({ accepted: {}, frame: { sequence: 1, messages: [{ data: "QQ==" }] } }));
      } else {
        sending.write(binary(), ...[3, 4, 5, 15].map((number) => binary(...field(number))));
        sending.write(binary(...frameBytes), binary(...field(3), ...frameBytes, ...field(4)));
      }
      sending.write(sending.encoded(fin));
      if (from.format === "binary") expect(await heard(peer)).toEqual([1, "A"]);
      expect(await heardNext(peer, 2)).toEqual([
        [1, "A"],
        [2, "fin"],
      ]);
      if (from.format === "binary" && to.format === "binary") {
        expect(peer.received.slice(-3, -1).map((data) => [...data])).toEqual([frameBytes, frameBytes]);
      }
    });

    test("frames for a peer that reads late arrive in order, though their request has ended", async () => {
      const [sending, peer] = await paired(from, to, sender);
      peer.pause();
      // The frames are more than the 128 KiB that HTTP/2's window and Node's buffer hold, and less than a channel's
      // first credit of 256 KiB.
      const sizes = [60_000, 60_000, 60_000, ...new Array(20).fill(100)];
      const frames = sizes.map((bytes, at) =>
        frame({ sequence: BigInt(at + 1), messages: [{ data: new Uint8Array(bytes) }] }),
      );
      const last = frame({ sequence: BigInt(sizes.length + 1), fin: true });
      sending.write(...[...frames, last].map((next) => sending.encoded(next)));
      sending.endRequest();
      // The relay answers other calls meanwhile, and mostly later than it has read the frames.
      for (let turns = 0; turns < 3; turns += 1) await relayClient.list({});
      peer.resume();
      const heardSizes = (await heardNext(peer, sizes.length)).map((next) => (next as string[])[1]?.length);
      expect(heardSizes).toEqual(sizes);
      expect(await heard(peer)).toEqual([sizes.length + 1, "fin"]);
    });

    test("a reset reaches a peer whose own frame is half sent", async () => {
      const [resetting, peer] = await paired(from, to, sender);
      const half = peer.encoded(first);
      peer.write(half.subarray(0, 9));
      resetting.write(resetting.encoded(frame({ reset: { code: 9, reason: "over" } })));
      expect(await heard(peer)).toBe("reset: over");
      peer.write(half.subarray(9));
      peer.endRequest();
      expect([await heard(resetting), await heard(peer)]).toEqual(["well", "well"]);
    });
  });

  test("a request that is whole before it is accepted arrives whole", async () => {
    const client = await openLeg(from, "Connect");
    const frames = [1n, 2n, 3n].map((sequence) => frame({ sequence, messages: [message(`${sequence}`)] }));
    frames.push(frame({ sequence: 4n, fin: true }));
    client.write(...[open({ name }), ...frames].map((next) => client.encoded(next)));
    client.endRequest();
    expect(await heard(client)).toBe("opened");
    const peer = await accept(to);
    expect(await heardNext(peer, 4)).toEqual([
      [1, "1"],
      [2, "2"],
      [3, "3"],
      [4, "fin"],
    ]);
    peer.write(peer.encoded(frame({ sequence: 1n, fin: true })));
    peer.endRequest();
    expect(await heard(peer)).toBe("well");
    expect(await heardNext(client, 3)).toEqual(["accepted", [1, "fin"], "well"]);
  });
});
