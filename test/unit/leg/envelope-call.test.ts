import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { contentTypeStreamProto, endStreamFlag } from "@connectrpc/connect/protocol-connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { ChannelResponseSchema } from "../../../gen/streamserver/v1/link_pb.js";
import { ConnectRequestSchema, ConnectResponseSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { dataOf, envelope } from "../../../leg/envelope.js";
import { type CallCarrier, type CarrierOpener, envelopeCaller } from "../../../leg/envelope-call.js";
import { EnvelopeReader } from "../../../leg/envelope-reader.js";
import { frameEnvelope } from "../../../leg/frame-envelope.js";
import { type LegCaller, maxRpcMessageBytes } from "../../../leg/leg-call.js";
import type { Channel } from "../../../link/channel/channel.js";
import { ChannelBodies } from "../../../link/channel/channel-bodies.js";
import { channelWindowBytes } from "../../../link/channel/channel-inbox.js";
import { createChannelOpener } from "../../../link/channel-client.js";
import type { Link } from "../../../link/link.js";
import { rawCodec } from "../../../stream/codec.js";
import { fromConnectError } from "../../../stream/error/failure-detail.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { openStream } from "../../../web/api/stream-client.js";
import { channelCarrierOpener } from "../../../web/transport/channel-carrier.js";
import { createLinkTransport } from "../../../web/transport/link-transport.js";
import { LegEndpoint } from "../../fakes/endpoint/leg-endpoint.js";
import { FakeClock } from "../../fakes/fake-clock.js";
import { dataFrame } from "../../fakes/frames.js";
import { joinedLinks, newWatch } from "../../fakes/links.js";
import { rejection, settled } from "../../fakes/outcome.js";

const baseUrl = "http://link";
const headers = [{ name: "content-type", value: contentTypeStreamProto }];
const ok = create(ChannelResponseSchema, { status: 200, headers });

/** Calls legs on the channels of a link. */
function channelCaller(openLink: () => Promise<Link>): LegCaller {
  return envelopeCaller(
    baseUrl,
    channelCarrierOpener(createChannelOpener(openLink), () => {}),
  );
}

interface Answer {
  status?: number;
  type?: string;
  body?: Uint8Array[];
}

/**
 * Calls a leg of a relay that gives this answer. Returns what was heard of it, and the error that the call ended with.
 */
async function call({ status = 200, type = contentTypeStreamProto, body = [] }: Answer) {
  const links = joinedLinks(async (channel) => {
    channel.respond(create(ChannelResponseSchema, { status, headers: [{ name: "content-type", value: type }] }));
    await new ChannelBodies(channel).send(body);
    channel.end();
  });
  const endpoint = new LegEndpoint(channelCaller(async () => links[0]));
  endpoint.call.end();
  await settled();
  expect(links.map(({ size }) => size)).toEqual([0, 0]);
  expect(endpoint.ends).toHaveLength(1);
  return { heard: endpoint.heard, error: endpoint.ends[0] };
}

function response(message: NonNullable<MessageInitShape<typeof ConnectResponseSchema>["message"]>): Uint8Array {
  return toBinary(ConnectResponseSchema, create(ConnectResponseSchema, { message }));
}

const opened = response({ case: "opened", value: {} });
const good = envelope(0, opened);
/** A frame has the same bytes in either direction. */
const frameResponse = (sequence: number) => frameEnvelope(dataFrame(sequence, { data: new Uint8Array(10) })).joined;
const end = (json: unknown) => envelope(endStreamFlag, new TextEncoder().encode(JSON.stringify(json)));

describe("on a channel", () => {
  test("a leg that ends well ends without an error", async () => {
    expect(await call({ body: [good, end({})] })).toEqual({ heard: ["opened"], error: undefined });
  });

  test("EnvelopeCall hands on that the peer was suspended and resumed, and that the relay drains", async () => {
    const body = [
      response({ case: "suspended", value: { graceMs: 120_000 } }),
      response({ case: "resumed", value: { receivedSequence: 7n } }),
      response({ case: "draining", value: { graceMs: 10_000 } }),
    ].map((message) => envelope(0, message));
    const { heard } = await call({ body: [good, ...body, end({})] });
    expect(heard).toEqual(["opened", "suspended 120000", "resumed 7", "draining 10000"]);
  });

  test.each<[string, Code, Answer, number]>([
    ["a status that is an error", Code.Unavailable, { status: 503, body: [good, end({})] }, 0],
    ["a status that knows no leg", Code.Unimplemented, { status: 404, body: [good, end({})] }, 0],
    ["a page", Code.Unknown, { type: "text/html", body: [good, end({})] }, 0],
    ["another format", Code.Internal, { type: "application/connect+json", body: [good, end({})] }, 0],
    ["a compressed message", Code.Internal, { body: [good, envelope(1, opened), end({})] }, 1],
    ["flags that nobody knows", Code.Internal, { body: [good, envelope(4, opened), end({})] }, 1],
    ["bytes that are no message", Code.Internal, { body: [good, envelope(0, new Uint8Array([255])), end({})] }, 1],
    ["an end that is none", Code.Unknown, { body: [good, envelope(endStreamFlag, opened)] }, 1],
    ["an error", Code.NotFound, { body: [good, end({ error: { code: "not_found" } })] }, 1],
    ["nothing", Code.Unavailable, {}, 0],
    ["no end", Code.Unavailable, { body: [good] }, 1],
    ["half a message", Code.Unavailable, { body: [good, good.subarray(0, 6)] }, 1],
  ])("an answer with %s ends the call with the code %i", async (_what, code, answer, messages) => {
    const { heard, error } = await call(answer);
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({ code });
    expect(heard).toHaveLength(messages);
  });

  /** A call whose relay's end of the channel is in the test's hand. */
  async function begun(openLink = async (client: Link): Promise<Link> => client) {
    const channels: Channel[] = [];
    const links = joinedLinks((channel) => void channels.push(channel));
    const endpoint = new LegEndpoint(channelCaller(() => openLink(links[0])));
    await settled();
    return { endpoint, links, channels };
  }

  /** A call that the relay has answered. */
  async function answered() {
    const { endpoint, links, channels } = await begun();
    const channel = channels[0] as Channel;
    channel.respond(ok);
    channel.write(good);
    await settled();
    expect(endpoint.heard.splice(0)).toEqual(["opened"]);
    return { endpoint, links, channel };
  }

  test("EnvelopeCall sends Open and then the frames, in their order, and ends the request after them", async () => {
    const { endpoint, channel } = await answered();
    const sent: (string | number | undefined)[] = [];
    const reader = new EnvelopeReader(maxRpcMessageBytes, (_flags, received) => {
      const { message } = fromBinary(ConnectRequestSchema, dataOf(received));
      sent.push(message.case === "frame" ? Number(message.value.sequence) : message.case);
      return true;
    });
    for (let sequence = 1; sequence <= 10; sequence += 1) {
      const { drains } = endpoint;
      if (endpoint.call.send(dataFrame(sequence, { data: new Uint8Array(20_000) }))) continue;
      await settled();
      expect(endpoint.drains).toBe(drains + 1);
    }
    endpoint.call.end();
    for await (const chunk of new ChannelBodies(channel).received()) reader.push(chunk);
    expect(sent).toEqual(["open", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test("EnvelopeCall.send returns false when the credit is used up, and onDrain comes when the relay grants more", async () => {
    const { endpoint, channel } = await answered();
    const data = new Uint8Array(20_000);
    let sequence = 0;
    for (let isFull = false; !isFull && sequence < 100; ) {
      const { drains } = endpoint;
      sequence += 1;
      if (endpoint.call.send(dataFrame(sequence, { data }))) continue;
      await settled();
      isFull = endpoint.drains === drains;
    }
    // Beside the data that has credit, the carrier holds a frame or two.
    expect(sequence * data.byteLength).toBeGreaterThan(channelWindowBytes);
    expect(sequence * data.byteLength).toBeLessThan(channelWindowBytes + 3 * data.byteLength);
    const { drains } = endpoint;
    channel.use({ onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClosed: () => {} });
    await settled();
    expect(endpoint.drains).toBe(drains + 1);
  });

  test("EnvelopeCall.pause in onFrame stops the frames, of the same chunk too, until resume", async () => {
    const { endpoint, channel } = await answered();
    endpoint.pausesAtFrames = true;
    const frames = [1, 2, 3].map((sequence) => frameResponse(sequence));
    channel.write(new Uint8Array(Buffer.concat(frames)));
    channel.write(frameResponse(4));
    channel.write(end({}));
    channel.end();
    for (let sequence = 1; sequence <= 4; sequence += 1) {
      await settled();
      expect(endpoint.heard.splice(0)).toEqual([`frame ${sequence}`]);
      expect(endpoint.ends).toEqual([]);
      endpoint.call.resume();
    }
    await settled();
    expect(endpoint.heard).toEqual([]);
    expect(endpoint.ends).toEqual([undefined]);
  });

  test("EnvelopeCall.cancel resets the channel as canceled, and onEnd follows with that", async () => {
    const { endpoint, links, channel } = await answered();
    const closed = new Promise<StreamError | undefined>((resolve) => {
      channel.use({ onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClosed: resolve });
    });
    endpoint.call.cancel();
    endpoint.call.cancel();
    expect((await closed)?.code).toBe(Code.Canceled);
    await settled();
    expect(endpoint.ends.map((reason) => fromConnectError(reason).code)).toEqual([Code.Canceled]);
    expect(links.map(({ size }) => size)).toEqual([0, 0]);
  });

  test("EnvelopeCall.cancel ends a call whose request has ended, and one that is paused", async () => {
    const { endpoint, links, channel } = await answered();
    endpoint.pausesAtFrames = true;
    endpoint.call.end();
    channel.write(new Uint8Array(Buffer.concat([frameResponse(1), frameResponse(2)])));
    await settled();
    endpoint.call.cancel();
    await settled();
    expect(endpoint.heard).toEqual(["frame 1"]);
    expect(endpoint.ends.map((reason) => fromConnectError(reason).code)).toEqual([Code.Canceled]);
    expect(links.map(({ size }) => size)).toEqual([0, 0]);
  });

  test("EnvelopeCall.cancel ends a call that waits for its link", async () => {
    const { endpoint, links } = await begun(() => new Promise(() => {}));
    endpoint.call.cancel();
    await settled();
    expect(endpoint.ends.map((reason) => fromConnectError(reason).code)).toEqual([Code.Canceled]);
    expect(links.map(({ size }) => size)).toEqual([0, 0]);
  });

  test("EnvelopeCall.cancel ends a call whose channel opens in the same turn", async () => {
    let cancel = () => {};
    const { endpoint, links } = await begun(async (client) => {
      queueMicrotask(() => cancel());
      return client;
    });
    cancel = () => endpoint.call.cancel();
    await settled();
    endpoint.call.cancel();
    await settled();
    expect(endpoint.ends.map((reason) => fromConnectError(reason).code)).toEqual([Code.Canceled]);
    expect(links.map(({ size }) => size)).toEqual([0, 0]);
  });

  test("a call whose link cannot be opened ends with the reason", async () => {
    const reason = new StreamError("no", { failure: Failure.LIMIT_REACHED });
    const { endpoint } = await begun(() => Promise.reject(reason));
    await settled();
    expect(endpoint.ends.map((error) => fromConnectError(error).failure)).toEqual([Failure.LIMIT_REACHED]);
  });

  test("a call whose channel is reset ends with the reason, before and after the answer", async () => {
    for (const state of [await begun(), await answered()]) {
      const { endpoint, links } = state;
      const channel = "channel" in state ? state.channel : (state.channels[0] as Channel);
      channel.reset(new StreamError("enough", { failure: Failure.DECLINED }));
      await settled();
      expect(endpoint.ends.map((error) => fromConnectError(error).failure)).toEqual([Failure.DECLINED]);
      expect(links.map(({ size }) => size)).toEqual([0, 0]);
    }
  });

  test("a call that is over hears and sends nothing more", async () => {
    const { endpoint, channel } = await answered();
    channel.write(end({}));
    channel.end();
    await settled();
    expect(endpoint.call.send(dataFrame(1))).toBe(true);
    endpoint.call.end();
    endpoint.call.pause();
    endpoint.call.resume();
    endpoint.call.cancel();
    await settled();
    expect(endpoint.heard).toEqual([]);
    expect(endpoint.ends).toEqual([undefined]);
  });
});

/** A carrier that writes down what it is told. */
function carrierInHand() {
  const told: string[] = [];
  const carrier: CallCarrier = {
    write: () => told.push("write") > 0,
    end: () => told.push("end"),
    pause: () => {},
    resume: () => {},
    reset: () => told.push("reset"),
  };
  return { told, carrier };
}

test("EnvelopeCall cancels a carrier whose answer broke the rules before the carrier was handed over", async () => {
  const { told, carrier } = carrierInHand();
  const openCarrier: CarrierOpener = async (_request, call) => {
    call.answered(503, new Headers());
    return carrier;
  };
  const endpoint = new LegEndpoint(envelopeCaller(baseUrl, openCarrier));
  await settled();
  expect(told).toEqual(["reset"]);
  expect(endpoint.ends.map((reason) => fromConnectError(reason).code)).toEqual([Code.Unavailable]);
});

test("EnvelopeCall.cancel while a carrier is handed over cancels it, and sends no Open", async () => {
  const { told, carrier } = carrierInHand();
  const endpoint = new LegEndpoint(envelopeCaller(baseUrl, async () => carrier));
  endpoint.call.cancel();
  await settled();
  expect(told).toEqual(["reset"]);
});

test("EnvelopeCall.end before there is a carrier ends the request after Open", async () => {
  const { told, carrier } = carrierInHand();
  const endpoint = new LegEndpoint(envelopeCaller(baseUrl, async () => carrier));
  endpoint.call.end();
  await settled();
  expect(told).toEqual(["write", "end"]);
});

test("a stream whose relay breaks the rules fails, and leaves no channel open", async () => {
  const links = joinedLinks((channel) => {
    channel.respond(ok);
    void new ChannelBodies(channel).send([good, envelope(4, opened)]);
  });
  const clock = new FakeClock();
  const watch = newWatch(links[0], clock);
  const transport = createLinkTransport(async () => ({ kind: "websocket", link: links[0], watch }), clock);
  const stream = openStream({
    transport: async () => transport,
    codec: rawCodec,
    name: "room",
    clock,
    onUnheard: () => {},
  });
  expect(await rejection(stream.closed)).toMatchObject({ failure: Failure.LEG_LOST, hop: Hop.RELAY });
  await settled();
  expect(links.map(({ size }) => size)).toEqual([0, 0]);
});
