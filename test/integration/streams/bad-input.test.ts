import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { Code, Failure, StreamClient, StreamServer } from "browser-stream-server";
import { ConnectRequestSchema, Feature, RelayService } from "browser-stream-server/gen";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Deferred } from "../../../stream/platform/deferred.js";
import {
  endHeaders,
  endStream,
  firstHead,
  frame as frameOfHttp2,
  preface,
  uint32,
} from "../../security/wire/http2-frames.js";
import { frame, open, openOffer, proof, RawLeg, RawListener, refusal, refused } from "../raw-calls.js";
import { holdsNothing, openRelay, type TestRelay } from "../relay-ports.js";
import { http2Ways, type Way } from "../ways.js";

const violation = refusal(Code.InvalidArgument, Failure.PROTOCOL_VIOLATION);
const offerGone = refusal(Code.FailedPrecondition, Failure.OFFER_GONE);
const tokenInvalid = refusal(Code.PermissionDenied, Failure.TOKEN_INVALID);

describe.each(["Connect over HTTP/2", "gRPC over HTTP/2"] as const)("%s", (wayName) => {
  let relay: TestRelay;
  let way: Way;
  let client: ReturnType<typeof createClient<typeof RelayService>>;
  let listener: RawListener;
  let echoServer: StreamServer;
  let healthy: ReturnType<ReturnType<typeof StreamClient>["connect"]>;

  beforeAll(async () => {
    relay = await openRelay({ limits: { openTimeoutMs: 50, acceptTimeoutMs: 500, maxOffersPerName: 2 } });
  });

  afterAll(() => relay.close());

  /** A stream that has to go on beside each bad call, over the same connection. */
  beforeEach(async () => {
    way = http2Ways[wayName](relay.url);
    client = createClient(RelayService, way.transport as Transport);
    listener = new RawListener(client, "raw");
    await listener.event("registered");
    echoServer = StreamServer(way.transport, (stream) => stream.pipe(stream)).listen("echo");
    await echoServer.ready;
    healthy = StreamClient(way.transport).connect("echo");
    await healthy.opened;
  });

  afterEach(async () => {
    healthy.end("still well");
    const echoed: unknown[] = [];
    for await (const message of healthy) echoed.push(message);
    expect(echoed).toEqual(["still well"]);
    await echoServer.end();
    await listener.close();
    await holdsNothing(relay);
    way.close();
  });

  test.each([
    ["empty", ""],
    ["too long", "é".repeat(129)],
  ])("a name that is %s", async (_, name) => {
    const invalid = refusal(Code.InvalidArgument, Failure.NAME_INVALID);
    expect(await refused(client.listen({ name }))).toEqual(invalid);
    expect(await refused(new RawLeg(client, "connect", open({ name })).rest())).toEqual(invalid);
  });

  test("a first message that is not open, a second open, and none at all", async () => {
    for (const rpc of ["connect", "accept"] as const) {
      expect(await refused(new RawLeg(client, rpc, frame({ sequence: 1n, fin: true })).rest())).toEqual(violation);
      const none = new RawLeg(client, rpc);
      none.endRequest();
      expect(await refused(none.rest())).toEqual(violation);
    }
    const twice = new RawLeg(client, "connect", open({ name: "raw" }), open({ name: "raw" }));
    expect(await refused(twice.rest())).toEqual(violation);
    const withdrawn = await listener.event("withdrawn");
    expect(withdrawn.streamId).not.toBe("");
  });

  test("no open in time", async () => {
    const silent = new RawLeg(client, "connect");
    expect(await refused(silent.rest())).toEqual(refusal(Code.DeadlineExceeded, Failure.PROTOCOL_VIOLATION));
    silent.endRequest();
  });

  test("a frame and metadata over the limit", async () => {
    const large = { data: new Uint8Array(relay.proxy.limits.maxFrameBytes) };
    const tooLarge = refusal(Code.ResourceExhausted, Failure.FRAME_TOO_LARGE);
    const leg = new RawLeg(client, "connect", open({ name: "raw" }), frame({ sequence: 1n, messages: [large] }));
    expect(await refused(leg.rest())).toEqual(tooLarge);
    const enormous = { data: new Uint8Array(4 * relay.proxy.limits.maxFrameBytes) };
    const second = new RawLeg(client, "connect", open({ name: "raw" }), frame({ sequence: 1n, messages: [enormous] }));
    expect(await refused(second.rest())).toEqual(tooLarge);
    const metadata = { key: "x".repeat(relay.proxy.limits.maxMetadataBytes) };
    expect(await refused(new RawLeg(client, "connect", open({ name: "raw", metadata })).rest())).toEqual(tooLarge);
  });

  test("tokens that are forged, or another's", async () => {
    const legs = [1, 2].map(() => new RawLeg(client, "connect", open({ name: "raw" })));
    const opened = await Promise.all(legs.map((leg) => leg.receive("opened")));
    const [first, second] = [await listener.event("offer"), await listener.event("offer")];
    const holder = new RawListener(client, "held");
    const { leaseId, leaseToken } = await holder.event("registered");
    const forged = first.legToken.slice(0, -2) + (first.legToken.endsWith("A") ? "BB" : "AA");
    const ofClient = opened.find(({ streamId }) => streamId === first.streamId)?.legToken ?? "";
    for (const legToken of [forged, second.legToken, ofClient, "", "x.y.z"]) {
      const bad = { streamId: first.streamId, legToken };
      expect(await refused(new RawLeg(client, "accept", open(bad)).rest())).toEqual(tokenInvalid);
      // A client may end its own stream.
      if (legToken !== ofClient) {
        expect(await refused(client.reject({ ...bad, code: Code.Aborted }))).toEqual(tokenInvalid);
      }
      expect(await refused(client.unlisten({ leaseId, leaseToken: bad.legToken }))).toEqual(tokenInvalid);
    }
    await client.unlisten({ leaseId, leaseToken });
    await holder.close();
    for (const leg of legs) leg.cancel();
  });

  test("an offer that was taken, declined, withdrawn, or not taken in time", async () => {
    const taken = new RawLeg(client, "connect", open({ name: "raw" }));
    const offer = await listener.event("offer");
    const accepted = new RawLeg(client, "accept", openOffer(offer));
    await Promise.all([accepted.receive("opened"), taken.receive("accepted")]);
    expect(await refused(new RawLeg(client, "accept", openOffer(offer)).rest())).toEqual(offerGone);
    taken.cancel();
    expect(await refused(accepted.rest())).toEqual(refusal(Code.Canceled, Failure.PEER_CANCELED));
    expect(await refused(client.reject({ ...proof(offer), code: Code.Aborted }))).toEqual(offerGone);

    const declined = new RawLeg(client, "connect", open({ name: "raw" }));
    const second = await listener.event("offer");
    await client.reject({ ...proof(second), code: Code.Aborted, reason: "no" });
    expect(await refused(declined.rest())).toEqual(refusal(Code.Aborted, Failure.DECLINED));
    expect(await refused(new RawLeg(client, "accept", openOffer(second)).rest())).toEqual(offerGone);

    const late = new RawLeg(client, "connect", open({ name: "raw" }));
    const third = await listener.event("offer");
    expect(await refused(late.rest())).toEqual(refusal(Code.DeadlineExceeded, Failure.NOT_ACCEPTED_IN_TIME));
    expect((await listener.event("withdrawn")).streamId).toBe(third.streamId);
    expect(await refused(new RawLeg(client, "accept", openOffer(third)).rest())).toEqual(offerGone);
  });

  test("a code that is none, a resume, and a cap on offers", async () => {
    const first = new RawLeg(client, "connect", open({ name: "raw" }));
    const { streamId, legToken } = await first.receive("opened");
    const offer = await listener.event("offer");
    expect(await refused(client.reject({ ...proof(offer), code: 99 }))).toEqual(violation);
    const second = new RawLeg(client, "connect", open({ name: "raw" }));
    await listener.event("offer");
    const third = new RawLeg(client, "connect", open({ name: "raw" }));
    expect(await refused(third.rest())).toEqual(refusal(Code.ResourceExhausted, Failure.LIMIT_REACHED));
    const resume = { generation: 1 };
    const asListener = new RawLeg(client, "connect", open({ ...proof(offer), resume }));
    expect(await refused(asListener.rest())).toEqual(tokenInvalid);
    // The client has not named the feature when it opened the stream.
    const resuming = new RawLeg(client, "connect", open({ streamId, legToken, resume }));
    expect(await refused(resuming.rest())).toEqual(refusal(Code.Unimplemented, Failure.FEATURE_UNSUPPORTED));
    for (const leg of [first, second]) leg.cancel();
  });

  test("a number that no frame can have, with which a relay could not answer", async () => {
    const capabilities = { features: [Feature.RESUME, Feature.CREDIT, Feature.ACK] };
    const receivedSequence = 2n ** 64n - 1n;
    const acking = new RawLeg(client, "connect", open({ name: "raw", capabilities }));
    const { streamId, legToken } = await acking.receive("opened");
    const offer = await listener.event("offer");
    const other = new RawLeg(client, "accept", open({ ...proof(offer), capabilities }));
    await other.receive("opened");
    const resume = { generation: 1, receivedSequence };
    expect(await refused(new RawLeg(client, "connect", open({ streamId, legToken, resume })).rest())).toEqual(
      violation,
    );
    expect(await refused(client.reject({ streamId, legToken, code: Code.Aborted, receivedSequence }))).toEqual(
      violation,
    );
    acking.send(frame({ ack: receivedSequence }));
    expect(await refused(acking.rest())).toEqual(violation);
    expect(await refused(other.rest())).toEqual(refusal(Code.Unavailable, Failure.LEG_LOST));
  });

  test("a request that ends before fin", async () => {
    const early = new RawLeg(client, "connect", open({ name: "raw" }));
    const offer = await listener.event("offer");
    const other = new RawLeg(client, "accept", openOffer(offer));
    await other.receive("opened");
    early.endRequest();
    expect(await refused(early.rest())).toEqual(violation);
    expect(await refused(other.rest())).toEqual(refusal(Code.Unavailable, Failure.LEG_LOST));
    other.endRequest();
  });

  test.each([
    ["out of order", Failure.SEQUENCE_GAP, { sequence: 2n, fin: true }],
    ["without a number", Failure.PROTOCOL_VIOLATION, { fin: true }],
    ["with an ack for what was never sent", Failure.PROTOCOL_VIOLATION, { ack: 9n }],
    ["beyond the credit", Failure.CREDIT_EXCEEDED, undefined],
  ])("frames %s reset the stream, and no other", async (_, failure, bad) => {
    const heard = new Deferred<unknown>();
    const server = StreamServer(way.transport, { windowBytes: 65_536 }, (stream) => {
      stream.pause().on("error", heard.resolve);
    }).listen("strict");
    await server.ready;
    const leg = new RawLeg(client, "connect", open({ name: "strict", capabilities: { features: [1, 2] } }));
    await leg.receive("accepted");
    if (bad !== undefined) leg.send(frame(bad));
    else for (const sequence of [1n, 2n]) leg.send(frame({ sequence, messages: [{ data: new Uint8Array(65_000) }] }));
    for (;;) {
      const { reset } = await leg.receive("frame");
      if (reset === undefined) continue;
      expect(reset.failure).toBe(failure);
      break;
    }
    leg.endRequest();
    for await (const _ of leg.rest());
    expect(await heard.promise).toMatchObject({ failure });
    await server.end();
  });

  test("a message over its receiver's limit", async () => {
    const heard = new Deferred<unknown>();
    const server = StreamServer(way.transport, { maxMessageBytes: 1_000 }, (stream) => {
      stream.on("error", heard.resolve).resume();
    }).listen("small");
    await server.ready;
    const stream = StreamClient(way.transport).connect("small");
    await stream.opened;
    expect(() => stream.write("x".repeat(1_001))).toThrow(
      expect.objectContaining({ failure: Failure.MESSAGE_TOO_LARGE }),
    );
    stream.destroy();
    const leg = new RawLeg(client, "connect", open({ name: "small" }));
    await leg.receive("accepted");
    leg.send(frame({ sequence: 1n, messages: [{ data: new Uint8Array(1_001) }] }));
    expect((await leg.receive("frame")).reset?.failure).toBe(Failure.MESSAGE_TOO_LARGE);
    leg.endRequest();
    for await (const _ of leg.rest());
    await heard.promise;
    await server.end();
  });
});

test("a call that is reset before the relay has it is not begun", async () => {
  const relay = await openRelay();
  const warned = new Deferred<string>();
  relay.proxy.on("warning", ({ kind, message }) => kind === "path-unknown" && warned.resolve(message));
  const open = (stream: number, method: string, flags: number) =>
    frameOfHttp2("headers", stream, flags, firstHead(`${relay.proxy.prefixes[0]}/streamserver.v1.${method}/None`));
  const socket = connectTcp(Number(new URL(relay.origin).port), "127.0.0.1").resume();
  // The relay reads what comes with the preface before it hands out the first call.
  socket.write(
    Buffer.concat([
      preface,
      frameOfHttp2("settings", 0, 0, Buffer.alloc(0)),
      open(1, "Reset", endHeaders),
      frameOfHttp2("rstStream", 1, 0, uint32(8)),
      open(3, "Whole", endHeaders | endStream),
    ]),
  );
  expect(await warned.promise).toContain("Whole");
  socket.destroy();
  await relay.close();
});

test("a request whose authority is none, as Node writes an IPv6 address, is answered all the same", async () => {
  const relay = await openRelay();
  const session = connectHttp2(relay.origin);
  const call = session.request({
    ":method": "POST",
    ":authority": "::1:8080",
    ":path": `${new URL(relay.url).pathname}/${RelayService.typeName}/List`,
    "content-type": "application/json",
  });
  call.end("{}");
  const [headers] = await once(call, "response");
  expect(headers[":status"]).toBe(200);
  call.resume();
  session.close();
  await relay.close();
});

test("bytes that are no message, in the middle of a leg, end that leg and tell the other", async () => {
  const relay = await openRelay();
  const heard = new Deferred<unknown>();
  const accepted = new Deferred<void>();
  const server = StreamServer(relay.origin, (stream) => {
    stream.on("open", accepted.resolve).on("error", heard.resolve);
  }).listen("raw bytes");
  await server.ready;
  const session = connectHttp2(relay.origin);
  const call = session.request({
    ":method": "POST",
    ":path": `${new URL(relay.url).pathname}/${RelayService.typeName}/Connect`,
    "content-type": "application/connect+proto",
  });
  const envelope = (body: Uint8Array) => Buffer.concat([Buffer.from([0, 0, 0, 0, body.byteLength]), body]);
  const opening = create(ConnectRequestSchema, { message: { case: "open", value: { name: "raw bytes" } } });
  call.write(envelope(toBinary(ConnectRequestSchema, opening)));
  await accepted.promise;
  call.write(envelope(new Uint8Array([255, 255, 255, 255])));
  let answer = "";
  for await (const chunk of call) answer += chunk;
  expect(/"code":"(\w+)"/.exec(answer)?.[1]).toBe("invalid_argument");
  expect(await heard.promise).toMatchObject({ failure: Failure.LEG_LOST });
  session.close();
  await server.end();
  await holdsNothing(relay);
  await relay.close();
});
