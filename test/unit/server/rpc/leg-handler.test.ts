import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ShowRequestSchema } from "../../../../gen/streamserver/v1/admin_pb.js";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import {
  ConnectRequestSchema,
  type ConnectResponse,
  ConnectResponseSchema,
  Feature,
  RelayService,
} from "../../../../gen/streamserver/v1/relay_pb.js";
import { dataOf, envelope } from "../../../../leg/envelope.js";
import type { Parts } from "../../../../leg/parts.js";
import { Survey } from "../../../../server/admin/survey.js";
import type { Caller, Claims } from "../../../../server/admission/caller.js";
import { defaultLimits, type RelayLimits } from "../../../../server/admission/limits.js";
import type { Grant } from "../../../../server/admission/policy/authorize.js";
import { answerTimeoutMs } from "../../../../server/http/open-responses.js";
import { Directory } from "../../../../server/relay/directory.js";
import type { Relay } from "../../../../server/relay/relay.js";
import type { Role } from "../../../../server/relay/stream/half.js";
import { serveChannelLeg } from "../../../../server/rpc/leg/channel-leg.js";
import type { LegCarrier } from "../../../../server/rpc/leg/leg-carrier.js";
import { LegHandler } from "../../../../server/rpc/leg/leg-handler.js";
import { acceptRpc, connectRpc } from "../../../../server/rpc/leg/leg-rpc.js";
import { relayRoutes } from "../../../../server/rpc/relay-routes.js";
import { failureTable, StreamError } from "../../../../stream/error/stream-error.js";
import { Condition, Deferred } from "../../../../stream/platform/deferred.js";
import { Fifo } from "../../../../stream/platform/fifo.js";
import { createLinkTransport } from "../../../../web/transport/link-transport.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { dataFrame } from "../../../fakes/frames.js";
import { joinedLinks, newWatch } from "../../../fakes/links.js";
import { rejection, settled } from "../../../fakes/outcome.js";
import { Listening, newRelay, noFacts, relayed, resumableOffer, resumes, someCaller } from "../../../fakes/relays.js";

type Said = NonNullable<MessageInitShape<typeof ConnectRequestSchema>["message"]>;

/** A leg as any other RPC. */
function overRoutes(relay: Relay): Transport {
  return createRouterTransport((router) => relayRoutes(router, relay, new Directory(relay)));
}

/** A leg on a channel of a link, which nothing else serves here. */
function overLink(relay: Relay): Transport {
  const [link] = joinedLinks((channel, request) => serveChannelLeg(relay, channel, request, someCaller, ""));
  const clock = new FakeClock();
  return createLinkTransport(async () => ({ kind: "websocket", link, watch: newWatch(link, clock) }), clock);
}

function routes(limits: Partial<RelayLimits> = {}, transport = overRoutes) {
  const test = newRelay(limits);
  return { ...test, client: createClient(RelayService, transport(test.relay)) };
}

/** A `Connect` call in the test's hand. */
class Call {
  readonly heard: ConnectResponse["message"][] = [];
  readonly error: Promise<StreamError>;
  readonly #abort = new AbortController();
  readonly #said = new Fifo<Said | "end">();
  readonly #changed = new Condition();

  constructor({ client }: ReturnType<typeof routes>) {
    this.error = rejection(this.#run(client));
    this.error.catch(() => {});
  }

  say(...said: (Said | "end")[]): this {
    for (const next of said) this.#said.push(next);
    this.#changed.notify();
    return this;
  }

  cancel(): void {
    this.#abort.abort();
  }

  async #run(client: ReturnType<typeof routes>["client"]): Promise<void> {
    for await (const { message } of client.connect(this.#requests(), { signal: this.#abort.signal })) {
      this.heard.push(message);
    }
  }

  async *#requests() {
    for (;;) {
      const next = this.#said.shift();
      if (next === "end") return;
      if (next === undefined) await this.#changed.changed();
      else yield create(ConnectRequestSchema, { message: next });
    }
  }
}

/** The call of a request that ended early may turn out to be cancelled this much later. */
const graceMs = 100;
const open: Said = { case: "open", value: { name: "room" } };
const frameOf = (bytes: number): Said => ({
  case: "frame",
  value: { sequence: 1n, messages: [{ data: new Uint8Array(bytes) }] },
});
const { maxFrameBytes } = defaultLimits;
const { PROTOCOL_VIOLATION, FRAME_TOO_LARGE, TOKEN_INVALID, NAME_INVALID, NO_SUCH_NAME } = Failure;

/** What is wrong with a request, the request, how it fails, and the limit that it exceeds, if it does. */
const broken: [string, (Said | "end")[], Failure, (keyof RelayLimits)?][] = [
  ["a first message that is not open", [frameOf(1)], PROTOCOL_VIOLATION],
  ["a first message that is nothing", [{ case: undefined }], PROTOCOL_VIOLATION],
  ["a request that ends before open", ["end"], PROTOCOL_VIOLATION],
  ["a second open", [open, open], PROTOCOL_VIOLATION],
  ["a request that ends before fin", [open, "end"], PROTOCOL_VIOLATION],
  ["a frame that is too large", [open, frameOf(maxFrameBytes - 16 + 1)], FRAME_TOO_LARGE, "maxFrameBytes"],
  ["a message that no frame is as large as", [open, frameOf(2 * maxFrameBytes)], FRAME_TOO_LARGE, "maxFrameBytes"],
  ["an open that resumes without a token", [{ case: "open", value: { name: "room", resume: {} } }], TOKEN_INVALID],
  ["a name that is empty", [{ case: "open", value: {} }], NAME_INVALID],
  ["a name that is too long", [{ case: "open", value: { name: "x".repeat(257) } }], NAME_INVALID, "maxNameBytes"],
  ["a name that nobody listens on", [{ case: "open", value: { name: "other" } }], NO_SUCH_NAME],
  [
    "metadata that is too large",
    [{ case: "open", value: { name: "room", metadata: { a: "x".repeat(8_192) } } }],
    FRAME_TOO_LARGE,
    "maxMetadataBytes",
  ],
];

/** A carrier whose request a test hands in. */
class HeldCarrier implements LegCarrier {
  takePlace(): void {}

  readonly caller: Caller;
  readonly token = "";
  readonly heard: ConnectResponse["message"][] = [];
  heldBytes = 0;
  call: "open" | "cut off" = "open";
  reading: "on" | "paused" = "on";
  ended: "open" | "well" | StreamError = "open";

  constructor(caller = someCaller) {
    this.caller = caller;
  }

  send(sent: Parts): boolean {
    this.heard.push(fromBinary(ConnectResponseSchema, dataOf(sent)).message);
    return true;
  }

  cutOff(): void {
    this.call = "cut off";
  }

  pause(): void {
    this.reading = "paused";
  }

  resume(): void {
    this.reading = "on";
  }

  retire(): void {}

  /** The time that its caller has to read how the leg ended. */
  timeoutMs: number | undefined;

  end(error: StreamError | undefined, timeoutMs: number): void {
    this.ended = error ?? "well";
    this.timeoutMs = timeoutMs;
  }
}

function enveloped(...all: Said[]): Uint8Array {
  const envelopes = all.map((message) =>
    envelope(0, toBinary(ConnectRequestSchema, create(ConnectRequestSchema, { message }))),
  );
  return new Uint8Array(Buffer.concat(envelopes));
}

/** A client's leg whose offer waits, and a function that accepts it. */
function heldLeg() {
  const { relay } = newRelay();
  const { call } = relay.listen("room", false);
  const carrier = new HeldCarrier();
  const handler = new LegHandler(relay, carrier, connectRpc);
  handler.receive(enveloped(open));
  async function accept(): Promise<Listening> {
    for await (const event of call.events()) {
      if (event.kind !== "offer") continue;
      return new Listening(relay.accept(event.offer.id, relay.offerToken(event.offer), undefined));
    }
    throw new Error("nothing was offered");
  }
  return { relay, carrier, handler, accept };
}

test("LegHandler.endRequest comes after the frames that wait for the peer", async () => {
  const { carrier, handler, accept } = heldLeg();
  handler.receive(enveloped(frameOf(1), frameOf(2), { case: "frame", value: { sequence: 2n, fin: true } }));
  handler.endRequest();
  expect([carrier.ended, carrier.reading]).toEqual(["open", "paused"]);
  const peer = await accept();
  expect(peer.frames.map(({ messages, fin }) => (fin ? "fin" : messages[0]?.data.byteLength))).toEqual([1, 2, "fin"]);
  expect([carrier.ended, peer.end]).toEqual(["open", "open"]);
});

describe("LegHandler.heldBytes", () => {
  const heldBytes = ({ relay }: ReturnType<typeof heldLeg>) => relay.admission.heldBytes.bytes;

  test("counts a message whose rest has not come", () => {
    const leg = heldLeg();
    expect(heldBytes(leg)).toBe(0);
    const whole = enveloped(frameOf(1_000));
    leg.handler.receive(whole.subarray(0, 700));
    expect(heldBytes(leg)).toBe(700);
    leg.handler.close("broken");
    expect(heldBytes(leg)).toBe(0);
  });

  test("counts what waits for the peer, until that has it", async () => {
    const leg = heldLeg();
    const [first, second] = [enveloped(frameOf(1_000)), enveloped(frameOf(500))];
    leg.handler.receive(new Uint8Array(Buffer.concat([first, second])));
    // The first frame waits in the half of the stream, and the second one in the reader of the leg.
    expect(heldBytes(leg)).toBe(first.byteLength + second.byteLength);
    await leg.accept();
    expect(heldBytes(leg)).toBe(0);
  });

  test("counts what waits in the carrier, after the end of the leg as well", () => {
    const leg = heldLeg();
    leg.carrier.heldBytes = 300;
    leg.relay.registry.find("room")?.end("lost");
    expect([leg.carrier.ended, heldBytes(leg)]).toMatchObject([{ failure: Failure.LISTENER_GONE }, 300]);
    leg.handler.receive(new Uint8Array(50));
    expect(heldBytes(leg)).toBe(300);
  });
});

describe("LegHandler.endHeld", () => {
  const limit = { name: "maxHeldBytes", value: 1_000, retryAfterMs: 1_000 };
  const heldError = new StreamError("too many bytes", { failure: Failure.LIMIT_REACHED, limit });
  const told = { failure: Failure.LIMIT_REACHED, limit };

  test("ends the stream, tells both endpoints the limit, and cuts the call off", async () => {
    const { relay, carrier, handler, accept } = heldLeg();
    const peer = await accept();
    handler.endHeld(heldError);
    expect([carrier.ended, peer.end]).toMatchObject([told, told]);
    expect([carrier.call, relay.counts.streams]).toEqual(["cut off", 0]);
  });

  test("cuts off a call whose stream has ended, and one that has not opened", () => {
    const { relay, carrier, handler } = heldLeg();
    relay.registry.find("room")?.end("lost");
    handler.endHeld(heldError);
    expect([carrier.ended, carrier.call]).toMatchObject([{ failure: Failure.LISTENER_GONE }, "cut off"]);
    const early = new HeldCarrier();
    new LegHandler(relay, early, connectRpc).endHeld(heldError);
    expect([early.ended, early.call]).toMatchObject([told, "cut off"]);
  });
});

describe("LegHandler.passedBytes", () => {
  test("stands still while the endpoint does not read, whatever the endpoint itself sends", async () => {
    const { handler, accept } = heldLeg();
    const peer = await accept();
    const before = handler.passedBytes;
    handler.receive(enveloped(frameOf(100)));
    expect(handler.passedBytes).toBe(before);
    peer.half.put(relayed(dataFrame(1, { data: new Uint8Array(100) })));
    expect(handler.passedBytes).toBeGreaterThan(before);
  });

  test("stands still while a frame of the endpoint waits for the peer, whatever the peer sends", async () => {
    const { handler, accept } = heldLeg();
    const peer = await accept();
    peer.half.peer.put(relayed(dataFrame(1, { data: new Uint8Array(100) })));
    peer.half.detach();
    const waiting = enveloped(frameOf(100));
    handler.receive(waiting);
    const before = handler.passedBytes;
    expect(before).toBeGreaterThan(waiting.byteLength);
    peer.half.put(relayed(dataFrame(1, { data: new Uint8Array(100) })));
    expect(handler.passedBytes).toBe(before);
  });
});

describe("LegHandler of a caller that waits to be let in", () => {
  /** A client's leg about which a policy has been asked. */
  function askedLeg() {
    const verdict = new Deferred<Grant>();
    const { relay } = newRelay({}, undefined, () => verdict.promise);
    const { lease } = relay.listen("room", false);
    const carrier = new HeldCarrier();
    const handler = new LegHandler(relay, carrier, connectRpc);
    handler.receive(enveloped(open, frameOf(3)));
    expect([carrier.heard, carrier.reading, relay.counts]).toMatchObject([[], "paused", { offers: 0, legs: 0 }]);
    return { relay, lease, carrier, handler, verdict };
  }

  test("reads on once the caller is in, and ends with the request that ended meanwhile", async () => {
    const { relay, lease, carrier, handler, verdict } = askedLeg();
    handler.endRequest();
    verdict.resolve({ subject: "ann", metadata: { role: "owner" } });
    await settled();
    expect(carrier.heard).toMatchObject([{ case: "opened" }]);
    const [offer] = lease.waiting;
    expect(offer?.facts).toMatchObject({ metadata: { role: "owner" }, caller: { subject: "ann" } });
    const id = offer?.id ?? "";
    const peer = new Listening(relay.accept(id, relay.legToken("listener", id), undefined));
    expect(peer.frames.map(({ messages }) => messages[0]?.data.byteLength)).toEqual([3]);
  });

  test("tells the caller why it is refused", async () => {
    const { relay, carrier, verdict } = askedLeg();
    verdict.reject(new StreamError("not you", { code: Code.Unauthenticated }));
    await settled();
    expect(carrier.ended).toMatchObject({ code: Code.Unauthenticated, failure: Failure.NOT_PERMITTED });
    expect([carrier.reading, relay.counts]).toMatchObject(["on", { offers: 0, legs: 0 }]);
  });

  test("makes no stream for a caller that has gone meanwhile", async () => {
    const { relay, carrier, handler, verdict } = askedLeg();
    handler.close("canceled");
    verdict.resolve({});
    await settled();
    expect([carrier.heard, relay.counts]).toMatchObject([[], { offers: 0, streams: 0, legs: 0 }]);
  });
});

describe("LegHandler of a leg that brings more than its rate", () => {
  const frames = (...sequences: number[]) =>
    enveloped(
      ...sequences.map((sequence): Said => {
        return { case: "frame", value: { sequence: BigInt(sequence), messages: [{ data: new Uint8Array(500) }] } };
      }),
    );

  /** An accepted stream whose listener takes `roomFrames` frames before it has to be drained, and its client's leg. */
  async function limitedLeg(limits: Partial<RelayLimits>, roomFrames?: number) {
    const { relay, clock } = newRelay(limits);
    const { lease } = relay.listen("room", false);
    /** Opens a leg whose first bytes are followed by others at once. */
    function openLeg(rest: Uint8Array = new Uint8Array()) {
      const carrier = new HeldCarrier();
      const handler = new LegHandler(relay, carrier, connectRpc);
      handler.receive(Buffer.concat([enveloped(open), rest]));
      const [offer] = lease.waiting;
      const id = offer?.id ?? "";
      const peer = new Listening(relay.accept(id, relay.legToken("listener", id), undefined), roomFrames);
      return { carrier, handler, peer };
    }
    return { clock, openLeg, ...openLeg() };
  }

  test("is read on when the time of its frames is over, and to its end", async () => {
    const { clock, carrier, handler, peer } = await limitedLeg({ maxBytesPerSecondPerStream: 1_000 });
    handler.receive(frames(1, 2, 3));
    handler.endRequest();
    expect([peer.frames.length, carrier.reading]).toEqual([2, "paused"]);
    clock.advance(10);
    expect(peer.frames.length).toBe(2);
    clock.advance(100);
    expect([peer.frames.length, carrier.reading]).toEqual([3, "paused"]);
    clock.advance(1_000);
    expect([carrier.reading, carrier.ended]).toEqual(["on", expect.objectContaining({ failure: PROTOCOL_VIOLATION })]);
  });

  test("waits for its time as well, where the peer has room sooner", async () => {
    const { clock, handler, peer } = await limitedLeg({ maxBytesPerSecondPerStream: 1_000 }, 1);
    handler.receive(frames(1));
    handler.receive(frames(2, 3));
    for (let times = 0; times < 3; times += 1) peer.drain();
    expect(peer.frames.length).toBe(2);
    clock.advance(10_000);
    expect(peer.frames.length).toBe(3);
  });

  test("waits for the peer as well, where its time is over sooner", async () => {
    const { clock, carrier, handler, peer } = await limitedLeg({ maxBytesPerSecondPerStream: 1_000 }, 1);
    handler.receive(frames(1));
    handler.receive(frames(2, 3));
    expect([peer.frames.length, carrier.reading]).toEqual([1, "paused"]);
    clock.advance(10_000);
    expect([peer.frames.length, carrier.reading]).toEqual([1, "paused"]);
    peer.drain();
    expect(peer.frames.length).toBe(2);
    peer.drain();
    clock.advance(10_000);
    expect([peer.frames.length, carrier.reading]).toEqual([3, "on"]);
  });

  test("shares the rate of its caller with the caller's other legs, and with those that come after them", async () => {
    const { clock, openLeg, ...first } = await limitedLeg({ maxBytesPerSecondPerCaller: 1_000 });
    const second = openLeg();
    first.handler.receive(frames(1));
    second.handler.receive(frames(1, 2));
    expect([first.carrier.reading, second.carrier.reading, second.peer.frames.length]).toEqual(["on", "paused", 1]);
    for (const { handler } of [first, second]) handler.close("canceled");
    expect(clock.timers).toBe(0);
    const third = openLeg(frames(1));
    expect([third.carrier.reading, third.peer.frames.length]).toEqual(["paused", 0]);
    clock.advance(1_000);
    expect([third.carrier.reading, third.peer.frames.length]).toEqual(["on", 1]);
  });

  test("waits, too, where a policy has let its caller in only when its rate was spent", async () => {
    const verdict = new Deferred<Grant>();
    const limits = { maxBytesPerSecondPerCaller: 1_000 };
    const { relay, clock } = newRelay(limits, undefined, () => verdict.promise);
    relay.listen("room", false);
    const carrier = new HeldCarrier();
    const handler = new LegHandler(relay, carrier, connectRpc);
    handler.receive(Buffer.concat([enveloped(open), frames(1)]));
    relay.admission.byteRates.ofLeg(someCaller, {})?.spend(2_000);
    verdict.resolve({});
    await settled();
    const [splice] = relay.streams;
    expect([carrier.reading, splice?.client.bytes]).toEqual(["paused", 0]);
    clock.advance(1_000);
    expect(splice?.client.bytes).toBeGreaterThan(0);
  });

  test("goes on with what was left to its endpoint where that attaches again", () => {
    const { attach, client, listener, clock } = resumableLegs({ maxBytesPerSecondPerStream: 1_000 });
    const heard = () => listener.carrier.heard.filter((message) => message.case === "frame").length;
    client.handler.receive(frames(1, 2));
    client.handler.close("broken");
    const newer = attach("client", { generation: 2, receivedSequence: 0n }, frames(3));
    expect([heard(), newer.carrier.reading]).toEqual([2, "paused"]);
    clock.advance(1_000);
    expect([heard(), newer.carrier.reading]).toEqual([3, "on"]);
  });

  test("counts for the identity of its endpoint that was let in, where it accepts and where it comes back", () => {
    const { relay, clock } = newRelay({ maxBytesPerSecondPerCaller: 1_000 });
    const survey = new Survey(relay, () => ({ links: 0, channels: 0, watchers: 0 }));
    const ofThisMachine: Caller = { ...someCaller, address: "127.0.0.1" };
    const claimsOf = (subject: string): Claims => {
      return { subject, name: "", meta: {}, issuedAtMs: 0, expiresAtMs: undefined, cut: false, tokenId: "" };
    };
    relay.listen("room", false, { caller: { ...ofThisMachine, claims: claimsOf("ann") } });
    const facts = { ...noFacts, capabilities: resumes };
    const { splice } = relay.connect("room", facts, 0, { ...ofThisMachine, claims: claimsOf("bob") });
    const listener = attachLeg(relay, splice.id, "listener", { caller: ofThisMachine });
    const resume = { generation: 1, receivedSequence: 0n };
    const client = attachLeg(relay, splice.id, "client", { caller: ofThisMachine, resume });
    for (const { handler } of [listener, client]) handler.receive(frames(1, 2));
    expect([listener.carrier.reading, client.carrier.reading]).toEqual(["paused", "paused"]);
    expect(survey.show(create(ShowRequestSchema)).streams).toMatchObject([
      { listener: { caller: { subject: "ann" } }, client: { caller: { subject: "bob" } } },
    ]);
    clock.advance(1_000);
    expect([listener.carrier.reading, client.carrier.reading]).toEqual(["on", "on"]);
    survey.close();
  });
});

interface LegOptions {
  caller?: Caller;
  resume?: { generation: number; receivedSequence: bigint } | undefined;
  /** The bytes after the first message, which come at once. */
  rest?: Uint8Array | undefined;
}

/** Opens a leg of a stream for an endpoint that resumes. */
function attachLeg(relay: Relay, streamId: string, role: Role, { caller, resume, rest }: LegOptions = {}) {
  const carrier = new HeldCarrier(caller);
  const handler = new LegHandler(relay, carrier, role === "client" ? connectRpc : acceptRpc);
  const legToken = relay.legToken(role, streamId);
  const value = { streamId, legToken, capabilities: resumes, ...(resume && { resume }) };
  handler.receive(Buffer.concat([enveloped({ case: "open", value }), rest ?? new Uint8Array()]));
  return { carrier, handler };
}

/** A stream between two legs whose endpoints resume. */
function resumableLegs(limits: Partial<RelayLimits> = {}) {
  const paired = resumableOffer(limits);
  const { relay, splice } = paired;
  const attach = (role: Role, resume?: LegOptions["resume"], rest?: Uint8Array) =>
    attachLeg(relay, splice.id, role, { resume, rest });
  const listener = attach("listener");
  const client = attach("client", { generation: 1, receivedSequence: 0n });
  return { ...paired, attach, client, listener };
}

const lastOf = ({ heard }: HeldCarrier) => heard.at(-1);

describe("LegHandler of an endpoint that resumes", () => {
  test("tells it the stream, a token, and what its peer has", () => {
    const { attach, client, splice, relay } = resumableLegs();
    client.handler.receive(enveloped({ case: "frame", value: { ack: 7n } }));
    const { carrier } = attach("listener", { generation: 1, receivedSequence: 3n });
    const [opened, resumed] = carrier.heard;
    expect(opened).toMatchObject({ case: "opened", value: { streamId: splice.id } });
    const legToken = opened?.case === "opened" ? opened.value.legToken : "";
    expect(relay.signer.verify("listener leg", splice.id, legToken)).toBe("this process");
    expect(opened).toMatchObject({ value: { limits: { features: [Feature.RESUME], graceMs: 120_000 } } });
    expect(resumed).toMatchObject({ case: "resumed", value: { receivedSequence: 7n } });
    expect(lastOf(client.carrier)).toMatchObject({ case: "resumed", value: { receivedSequence: 3n } });
  });

  test.each(["canceled", "broken"] as const)("tells its peer that it waits, after a call that was %s", (end) => {
    const { client, listener, relay } = resumableLegs();
    client.handler.close(end);
    expect(lastOf(listener.carrier)).toMatchObject({ case: "suspended", value: { graceMs: 120_000 } });
    expect(relay.counts).toMatchObject({ streams: 1, legs: 1 });
  });

  test("ends the stream at once when the link was left", () => {
    const { client, listener, relay } = resumableLegs();
    client.handler.close("left");
    expect(listener.carrier.ended).toMatchObject({ failure: Failure.LEG_LOST });
    listener.handler.close("broken");
    expect(relay.counts).toMatchObject({ streams: 0, legs: 0 });
  });

  test("takes nothing more from a leg that a newer one has taken the place of", () => {
    const { attach, client, listener, relay } = resumableLegs();
    client.handler.receive(enveloped(frameOf(10)).subarray(0, 12));
    const newer = attach("client", { generation: 2, receivedSequence: 0n });
    expect(client.carrier.ended).toMatchObject({ failure: Failure.FENCED });
    expect(relay.counts).toMatchObject({ streams: 1, legs: 3 });
    client.handler.receive(enveloped(frameOf(10)).subarray(12));
    client.handler.receive(enveloped({ case: "frame", value: { reset: { code: Code.Aborted } } }));
    client.handler.endRequest();
    client.handler.close("broken");
    expect(listener.carrier.heard.map((message) => message.case)).toEqual(["opened", "resumed", "resumed"]);
    expect([newer.carrier.ended, relay.counts.legs]).toEqual(["open", 2]);
  });

  test("takes a body that is cut within a frame for a call that broke", () => {
    const { client, listener } = resumableLegs();
    client.handler.receive(enveloped(frameOf(10)).subarray(0, -1));
    client.handler.endRequest();
    expect(lastOf(listener.carrier)?.case).toBe("suspended");
  });

  test.each([
    ["an ack", { case: "frame", value: { ack: 2n ** 64n - 1n } }],
    ["the ack of a reset", { case: "frame", value: { ack: 2n ** 53n, reset: {} } }],
  ] satisfies [string, Said][])("ends the stream when %s has a number that no frame can have", (_what, said) => {
    const { client, listener } = resumableLegs();
    client.handler.receive(enveloped(said));
    expect(client.carrier.ended).toMatchObject({ failure: PROTOCOL_VIOLATION });
    expect(listener.carrier.ended).toMatchObject({ failure: Failure.LEG_LOST });
  });

  test("refuses one that says to have received a frame that nobody can have sent, and keeps its older leg", () => {
    const { attach, client, listener } = resumableLegs();
    const newer = attach("client", { generation: 2, receivedSequence: 2n ** 64n - 1n });
    expect(newer.carrier.ended).toMatchObject({ failure: PROTOCOL_VIOLATION });
    expect([client.carrier.ended, listener.carrier.ended]).toEqual(["open", "open"]);
  });

  test("ends the stream at once when it breaks a rule", () => {
    const { client, listener } = resumableLegs();
    client.handler.receive(enveloped({ case: "open", value: {} }));
    expect(client.carrier.ended).toMatchObject({ failure: PROTOCOL_VIOLATION });
    expect(listener.carrier.ended).toMatchObject({ failure: Failure.LEG_LOST });
  });
});

test("LegHandler.endRequest within a frame is a violation, once the frames that wait have arrived", async () => {
  const { carrier, handler, accept } = heldLeg();
  handler.receive(enveloped(frameOf(1), frameOf(2), frameOf(3)).subarray(0, -1));
  handler.endRequest();
  const peer = await accept();
  expect(peer.frames).toHaveLength(2);
  expect(carrier.ended).toMatchObject({ failure: PROTOCOL_VIOLATION });
  expect(peer.end).toMatchObject({ failure: Failure.LEG_LOST });
});

test("the rest of a request is read to its end when a frame that was not taken has ended the stream", () => {
  const { carrier, handler } = heldLeg();
  handler.receive(enveloped({ case: "frame", value: { reset: { code: Code.Aborted } } }));
  expect([carrier.ended, carrier.reading]).toEqual(["well", "on"]);
});

test.each([100, 4_200, 30_000])("a frame of %d bytes that waits keeps no much larger chunk in memory", async (size) => {
  const { handler, accept } = heldLeg();
  const bytes = enveloped(frameOf(size));
  const chunk = new Uint8Array(425_984);
  chunk.set(bytes);
  handler.receive(chunk.subarray(0, bytes.byteLength));
  const [sent] = (await accept()).envelopes;
  expect(sent?.arrays.map(({ buffer }) => buffer.byteLength)).toEqual([bytes.byteLength]);
});

test("legs that nobody has read to their end count when others are opened, though their streams have ended", async () => {
  const { relay } = newRelay({ maxStreams: 1 });
  const handlers: LegHandler[] = [];
  function openLeg(): StreamError | "open" {
    const carrier = new HeldCarrier();
    const { lease } = relay.listen("room", false);
    const handler = new LegHandler(relay, carrier, connectRpc);
    handler.receive(enveloped(open));
    handlers.push(handler);
    const before = carrier.ended;
    lease.end("lost");
    return before === "open" || before === "well" ? "open" : before;
  }
  for (let legs = 0; legs < 4; legs += 1) expect(openLeg()).toBe("open");
  expect(relay.counts).toEqual({ leases: 0, offers: 0, streams: 0, legs: 4 });
  expect(openLeg()).toMatchObject({ failure: Failure.LIMIT_REACHED });
  for (const handler of handlers) handler.close("broken");
  expect(relay.counts.legs).toBe(0);
});

test("a caller that leaves as many ended legs unread as it may have streams has no time to read the next", () => {
  const { relay } = newRelay({ maxStreams: 10, maxStreamsPerCaller: 2 });
  const legs = Array.from({ length: 4 }, () => {
    const carrier = new HeldCarrier();
    const { lease } = relay.listen("room", false);
    const handler = new LegHandler(relay, carrier, connectRpc);
    handler.receive(enveloped(open));
    lease.end("lost");
    if (relay.counts.legs === 4) handler.close("broken");
    return { carrier, handler };
  });
  expect(legs.map(({ carrier }) => carrier.timeoutMs)).toEqual([answerTimeoutMs, answerTimeoutMs, 0, 0]);
  expect(relay.counts).toMatchObject({ streams: 0, legs: 3 });
  for (const { handler } of legs) handler.close("broken");
  expect(relay.counts.legs).toBe(0);
});

test("all legs of a relay that closes have their time to be read", () => {
  const { relay } = newRelay({ maxStreams: 10, maxStreamsPerCaller: 2 });
  relay.listen("room", false);
  const carriers = [new HeldCarrier(), new HeldCarrier()];
  for (const carrier of carriers) new LegHandler(relay, carrier, connectRpc).receive(enveloped(open));
  relay.admission.hold(someCaller, { kind: "ended leg" });
  relay.admission.hold(someCaller, { kind: "ended leg" });
  relay.close();
  expect(carriers.map(({ timeoutMs }) => timeoutMs)).toEqual([answerTimeoutMs, answerTimeoutMs]);
});

describe.each([
  ["the routes", overRoutes],
  ["a link", overLink],
])("over %s", (_way, transport) => {
  test.each(broken)(
    "%s ends the call with its code, and leaves nothing behind",
    async (_what, said, failure, limit) => {
      const server = routes({}, transport);
      server.relay.listen("room", false);
      const bystander = new Call(server).say(open);
      const call = new Call(server).say(...said);
      await settled();
      server.clock.advance(graceMs);
      const error = await call.error;
      expect(error).toMatchObject({ failure, code: failureTable[failure][0] });
      expect(error.limit).toEqual(limit && { name: limit, value: defaultLimits[limit], retryAfterMs: 0 });
      await settled();
      expect(server.relay.counts).toEqual({ leases: 1, offers: 1, streams: 0, legs: 1 });
      bystander.cancel();
      expect((await bystander.error).code).toBe(Code.Canceled);
      await settled();
      expect(server.relay.counts).toEqual({ leases: 1, offers: 0, streams: 0, legs: 0 });
      expect(server.clock.timers).toBe(0);
    },
  );

  test("a frame as large as the relay allows passes", async () => {
    const server = routes({}, transport);
    server.relay.listen("room", false);
    const call = new Call(server).say(open, frameOf(maxFrameBytes - 16));
    await settled();
    expect(call.heard.map((message) => message.case)).toEqual(["opened"]);
    expect(server.relay.counts.offers).toBe(1);
    call.cancel();
    await call.error;
  });

  test("a later message of a kind that nobody knows yet is ignored", async () => {
    const server = routes({}, transport);
    server.relay.listen("room", false);
    const call = new Call(server).say(open, { case: undefined }, frameOf(1));
    await settled();
    expect(call.heard.map((message) => message.case)).toEqual(["opened"]);
    expect(server.relay.counts).toMatchObject({ offers: 1, legs: 1 });
    call.cancel();
    await call.error;
  });

  test("a call that says nothing is ended in time", async () => {
    const server = routes({ openTimeoutMs: 500 }, transport);
    const call = new Call(server);
    await settled();
    server.clock.advance(500);
    expect(await call.error).toMatchObject({ failure: PROTOCOL_VIOLATION, code: Code.DeadlineExceeded });
    expect(server.clock.timers).toBe(0);
  });
});

test("opened says what the relay allows, and names the stream", async () => {
  const server = routes({ maxFrameBytes: 4_096 });
  server.relay.listen("room", false);
  const call = new Call(server).say(open);
  await settled();
  expect(call.heard[0]).toMatchObject({
    case: "opened",
    value: { limits: { maxFrameBytes: 4_096, maxNameBytes: 256, acceptTimeoutMs: 10_000, lingerTimeoutMs: 30_000 } },
  });
  call.cancel();
  await call.error;
});

test("an unlistened name ends Listen without an error; a cancelled Listen ends the lease", async () => {
  const { client, relay } = routes();
  const events = client.listen({ name: "room" })[Symbol.asyncIterator]();
  const { event } = (await events.next()).value ?? {};
  if (event?.case !== "registered") throw new Error("the name was not registered");
  await client.unlisten(event.value);
  expect((await events.next()).done).toBe(true);
  const abort = new AbortController();
  const ends: string[] = [];
  relay.registry.observe((change) => change.kind === "destroyed" && ends.push(change.end));
  const listening = client.listen({ name: "room" }, { signal: abort.signal })[Symbol.asyncIterator]();
  await listening.next();
  abort.abort();
  await rejection(listening.next());
  await settled();
  expect(ends).toEqual(["canceled"]);
  expect(relay.counts.leases).toBe(0);
});
