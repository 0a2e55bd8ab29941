import { create, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, createConnectRouter } from "@connectrpc/connect";
import { contentTypeStreamProto, endStreamFlag, endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { type ChannelRequest, ChannelRequestSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import { ConnectRequestSchema } from "../../../../gen/streamserver/v1/relay_pb.js";
import { dataOf, envelope } from "../../../../leg/envelope.js";
import { EnvelopeReader } from "../../../../leg/envelope-reader.js";
import { legOverheadBytes } from "../../../../leg/leg-call.js";
import type { Parts } from "../../../../leg/parts.js";
import type { Channel } from "../../../../link/channel/channel.js";
import { ChannelBodies } from "../../../../link/channel/channel-bodies.js";
import { createChannelHandler } from "../../../../link/channel/channel-handler.js";
import { defaultLimits } from "../../../../server/admission/limits.js";
import { answerTimeoutMs } from "../../../../server/http/open-responses.js";
import { Directory } from "../../../../server/relay/directory.js";
import type { Relay } from "../../../../server/relay/relay.js";
import { serveChannelLeg } from "../../../../server/rpc/leg/channel-leg.js";
import { relayRoutes } from "../../../../server/rpc/relay-routes.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import type { FakeClock } from "../../../fakes/fake-clock.js";
import { frame } from "../../../fakes/frames.js";
import { joinedLinks, packet } from "../../../fakes/links.js";
import { rejection, settled } from "../../../fakes/outcome.js";
import { newLinkedRelay } from "../../../fakes/relay-links.js";
import { Listening, newRelay, relayed, someCaller } from "../../../fakes/relays.js";

type Serve = (channel: Channel, request: ChannelRequest) => Promise<void> | undefined;
type Headers = Record<string, string>;

const plain: Headers = { "content-type": contentTypeStreamProto };

function legRequest(headers: Headers, method = "Connect"): ChannelRequest {
  return create(ChannelRequestSchema, {
    path: `/streamserver.v1.RelayService/${method}`,
    headers: Object.entries(headers).map(([name, value]) => ({ name, value })),
  });
}

function byHandlers(relay: Relay): Serve {
  const router = createConnectRouter();
  relayRoutes(router, relay, new Directory(relay));
  return createChannelHandler(router.handlers);
}

/** Whether a channel is served here, rather than left to the handlers. */
async function servesHere(request: ChannelRequest): Promise<boolean[]> {
  const { relay } = newRelay();
  const served: boolean[] = [];
  const [link] = joinedLinks((channel) => {
    const serving = serveChannelLeg(relay, channel, request, someCaller, "");
    served.push(serving !== undefined);
    return serving;
  });
  link.open(request).end();
  await settled();
  return served;
}

test.each<[string, Headers]>([
  ["its format alone", plain],
  ["an access token", { ...plain, authorization: "Bearer mine" }],
  ["what Connect's transports say", { ...plain, "connect-protocol-version": "1", "user-agent": "any" }],
])("a leg with %s is served here", async (_, headers) => {
  expect(await servesHere(legRequest(headers))).toEqual([true]);
  expect(await servesHere(legRequest(headers, "Accept"))).toEqual([true]);
});

test.each<[string, Headers]>([
  ["a deadline", { ...plain, "connect-timeout-ms": "1000" }],
  ["a compression", { ...plain, "connect-content-encoding": "gzip" }],
  ["a header of an application's", { ...plain, "x-mine": "mine" }],
  ["JSON", { "content-type": "application/connect+json" }],
  ["another protocol", { "content-type": "application/grpc-web+proto" }],
  ["a parameter in its format", { "content-type": `${contentTypeStreamProto}; charset=utf-8` }],
  ["no format", {}],
  ["no format, but all else", { "connect-protocol-version": "1", "user-agent": "any" }],
])("a leg with %s is left to the handlers", async (_, headers) => {
  expect(await servesHere(legRequest(headers))).toEqual([false]);
});

test("an RPC that is no leg is left to the handlers", async () => {
  expect(await servesHere(legRequest(plain, "Listen"))).toEqual([false]);
});

test("legs that were canceled leave the channels of their link to others", async () => {
  const { relay } = newRelay();
  relay.listen("room", false);
  const serve: Serve = (channel, request) => serveChannelLeg(relay, channel, request, someCaller, "");
  const [link] = joinedLinks(serve, { maxChannels: 1 });
  for (let legs = 0; legs < 4; legs += 1) {
    const channel = link.open(legRequest(plain));
    await new ChannelBodies(channel).send([open]);
    expect((await channel.response.promise).status).toBe(200);
    await settled();
    channel.reset(new StreamError("enough", { code: Code.Canceled }));
    await settled();
  }
});

function bytesOf(request: MessageInitShape<typeof ConnectRequestSchema>): Uint8Array {
  return toBinary(ConnectRequestSchema, create(ConnectRequestSchema, request));
}

const open = envelope(0, bytesOf({ message: { case: "open", value: { name: "room" } } }));
const fin = bytesOf({ message: { case: "frame", value: { sequence: 1n, fin: true } } });
const tooLarge = new Uint8Array(defaultLimits.maxFrameBytes + legOverheadBytes + 1);

/** Listens, and accepts every offer. */
async function acceptAll(relay: Relay, accepted: Listening[] = []): Promise<void> {
  for await (const event of relay.listen("room", false).call.events()) {
    if (event.kind !== "offer") continue;
    accepted.push(new Listening(relay.accept(event.offer.id, relay.offerToken(event.offer), undefined)));
  }
}

/** A body that cannot be read may turn out to be one that was cut short by so much later. */
const abortGraceMs = 100;

/** What a leg with a body of raw bytes is ended with. */
async function endOf(serve: Serve, clock: FakeClock, body: Uint8Array[]) {
  const [link] = joinedLinks(serve);
  const channel = link.open(legRequest(plain));
  const bodies = new ChannelBodies(channel);
  await bodies.send(body);
  channel.end();
  await settled();
  clock.advance(abortGraceMs);
  let end: Parts | undefined;
  const reader = new EnvelopeReader(65_536, (flags, received) => {
    if (flags === endStreamFlag) end = received;
    return true;
  });
  for await (const chunk of bodies.received()) {
    reader.push(chunk);
    if (end !== undefined) return rejection(Promise.reject(endStreamFromJson(dataOf(end)).error));
  }
  throw new Error("the leg did not end");
}

describe.each<[string, (relay: Relay) => Serve]>([
  ["here", (relay) => (channel, request) => serveChannelLeg(relay, channel, request, someCaller, "")],
  ["by the handlers", byHandlers],
])("served %s", (_way, serve) => {
  test.each<[string, Uint8Array[], Failure]>([
    ["that is said to be compressed", [open, envelope(1, fin)], Failure.PROTOCOL_VIOLATION],
    ["that nobody can decode", [open, envelope(0, new Uint8Array(4).fill(255))], Failure.PROTOCOL_VIOLATION],
    ["that breaks off after fin", [open, envelope(0, fin), open.subarray(0, 3)], Failure.PROTOCOL_VIOLATION],
    ["that is too large to take", [open, envelope(0, tooLarge)], Failure.FRAME_TOO_LARGE],
  ])("a message %s ends its leg", async (_what, body, failure) => {
    const { relay, clock } = newRelay();
    void acceptAll(relay);
    expect((await endOf(serve(relay), clock, body)).failure).toBe(failure);
    expect(relay.counts).toMatchObject({ streams: 0, legs: 0 });
    expect(clock.timers).toBe(0);
  });

  test.each<[string, number, Code, Failure, Failure]>([
    ["a channel as canceled", 1, Code.Canceled, Failure.UNSPECIFIED, Failure.PEER_CANCELED],
    ["a channel with another code", 1, Code.Unknown, Failure.UNSPECIFIED, Failure.LEG_LOST],
    ["a link as canceled", 0, Code.Canceled, Failure.UNSPECIFIED, Failure.PEER_CANCELED],
    ["a link as canceled and lost", 0, Code.Canceled, Failure.LEG_LOST, Failure.LEG_LOST],
    ["a link with another code", 0, Code.Internal, Failure.UNSPECIFIED, Failure.LEG_LOST],
  ])("a reset of %s is heard at the other end of a stream", async (_what, channel, code, failure, heard) => {
    const { relay } = newRelay();
    const accepted: Listening[] = [];
    void acceptAll(relay, accepted);
    const [client, relayEnd] = joinedLinks(serve(relay));
    await new ChannelBodies(client.open(legRequest(plain))).send([open]);
    await settled();
    relayEnd.receive(packet({ channel, content: { case: "reset", value: { code, failure } } }));
    await settled();
    expect(accepted.map(({ end }) => end)).toEqual([expect.objectContaining({ failure: heard })]);
    expect(relay.counts).toMatchObject({ streams: 0, legs: 0 });
  });
});

const openMessage = { message: { case: "open" as const, value: { name: "room" } } };
const openJson = new TextEncoder().encode(
  toJsonString(ConnectRequestSchema, create(ConnectRequestSchema, openMessage)),
);

test.each<[string, Headers, Uint8Array]>([
  ["binary", plain, open],
  ["JSON", { "content-type": "application/connect+json" }, envelope(0, openJson)],
])("a leg in %s that has ended, and whose client reads nothing, is given up in time", async (_what, headers, first) => {
  const { relay, links, open: openLink } = newLinkedRelay();
  const clock = relay.clock as FakeClock;
  const accepted: Listening[] = [];
  void acceptAll(relay, accepted);
  const { link, watch } = openLink();
  link.receive(packet({ channel: 1, content: { case: "request", value: legRequest(headers) } }));
  link.receive(packet({ channel: 1, content: { case: "data", value: first } }));
  await settled();
  const [peer] = accepted;
  // More than the first window of a channel, so that some has to wait for credit that never comes.
  const messages = [{ data: new Uint8Array(150_000) }];
  for (let sequence = 1n; sequence <= 4n; sequence += 1n) {
    if (peer?.half.put(relayed(frame({ sequence, messages }))) === false) break;
    await settled();
  }
  peer?.half.fail(new StreamError("gone"));
  await settled();
  for (let ms = 0; ms < answerTimeoutMs - 1_000; ms += 1_000) {
    watch.heard();
    clock.advance(1_000);
  }
  clock.advance(999);
  await settled();
  expect([relay.counts, links.counts]).toMatchObject([{ streams: 0, legs: 1 }, { channels: 1 }]);
  clock.advance(1);
  await settled();
  expect([relay.counts, links.counts]).toMatchObject([{ legs: 0 }, { channels: 0 }]);
});
