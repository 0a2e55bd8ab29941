import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { ChannelResponseSchema, LinkMessageSchema, LinkOpenedSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import { linkCodec, openLink, serveLink } from "../../../../http/link/stream-link.js";
import type { LinkStream } from "../../../../http/link/stream-pipe.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { exchange } from "../../../fakes/frames.js";
import { request } from "../../../fakes/links.js";
import { promiseState, rejection, settled } from "../../../fakes/outcome.js";
import { joinedStreams, streamAndPeer } from "../../../fakes/streams.js";

const streams = () => joinedStreams({}, linkCodec) as [LinkStream, LinkStream];
type RawStream = ReturnType<typeof joinedStreams>[0];
const quiet = (stream: LinkStream) => stream.on("error", () => {});
const refuse = () => {};
const tellLimits = (opened: MessageInitShape<typeof LinkOpenedSchema>) => (stream: LinkStream) => {
  stream.write(toBinary(LinkMessageSchema, create(LinkMessageSchema, { opened: create(LinkOpenedSchema, opened) })));
};

describe("openLink", () => {
  test("resolves when the listener has told its limits, and keeps to them", async () => {
    const [client, listener] = streams();
    const opening = openLink(client, "n", new FakeClock());
    expect(await promiseState(opening)).toBe("pending");
    serveLink(listener, { maxCalls: 1, onRequest: refuse });
    const link = await opening;
    link.open(request());
    expect(link.hasRoom).toBe(false);
  });

  test.each([
    ["bytes that are none of a link", (stream: LinkStream) => void stream.write(new Uint8Array([0xff]))],
    [
      "a message of packets",
      (stream: LinkStream) => void stream.write(toBinary(LinkMessageSchema, create(LinkMessageSchema))),
    ],
    ["limits that let it take no call", tellLimits({ maxPacketBytes: 1_000, maxBatchBytes: 1_000 })],
    ["limits that let it take no data", tellLimits({ maxChannels: 1, maxBatchBytes: 1_000 })],
    ["limits that let it take no message", tellLimits({ maxChannels: 1, maxPacketBytes: 1_000 })],
  ])("rejects for a listener that sends %s", async (_, speak) => {
    const [client, listener] = streams();
    const opening = openLink(client, "n", new FakeClock());
    quiet(listener);
    speak(listener);
    expect(await rejection(opening)).toMatchObject({ code: Code.Unimplemented, hop: Hop.PEER });
    expect((await rejection(listener.closed)).code).toBe(Code.Unimplemented);
  });

  test("rejects at once for a listener that ends the stream", async () => {
    const [client, listener] = streams();
    const opening = openLink(client, "n", new FakeClock());
    quiet(listener).end();
    expect(await rejection(opening)).toMatchObject({ code: Code.Unimplemented, hop: Hop.PEER });
  });

  test("rejects for a listener that has said nothing for 10 s, and not before", async () => {
    const clock = new FakeClock();
    const [client, listener] = streams();
    quiet(listener);
    const opening = openLink(client, "n", clock);
    await settled();
    clock.advance(9_999);
    expect(await promiseState(opening)).toBe("pending");
    clock.advance(1);
    expect(await rejection(opening)).toMatchObject({ code: Code.Unimplemented, hop: Hop.PEER });
    expect(clock.timers).toBe(0);
  });

  test("waits no more for a listener whose limits come in the turn in which it accepts", async () => {
    const clock = new FakeClock();
    const { stream, life, peer } = streamAndPeer({}, linkCodec);
    const opening = openLink(stream as LinkStream, "n", clock);
    const limits = create(LinkOpenedSchema, { maxChannels: 1, maxPacketBytes: 1_000, maxBatchBytes: 1_000 });
    const data = toBinary(LinkMessageSchema, create(LinkMessageSchema, { opened: limits }));
    peer.write({ data, text: false });
    life.accept(life.endpoint.capabilities);
    exchange(life.endpoint, peer);
    await opening;
    await settled();
    clock.advance(60_000);
    expect(stream.state).toBe("open");
  });

  test("rejects with why the stream has failed, and leaves no timer", async () => {
    const clock = new FakeClock();
    const [client, listener] = streams();
    const opening = openLink(client, "n", clock);
    await settled();
    listener.destroy();
    expect((await rejection(opening)).failure).toBe(Failure.PEER_CANCELED);
    await settled();
    expect(clock.timers).toBe(0);
  });
});

describe("a link over a stream", () => {
  async function joined() {
    const [client, listener] = streams();
    const opening = openLink(client, "n", new FakeClock());
    const serving = serveLink(listener, {
      maxCalls: 8,
      onRequest: (channel) => channel.respond(create(ChannelResponseSchema, { status: 200 })),
    });
    return { client, listener, serving, calling: await opening };
  }

  test("fails its calls when the peer ends the stream", async () => {
    const { listener, calling } = await joined();
    const channel = calling.open(request());
    await channel.response.promise;
    listener.end();
    expect((await calling.closed).failure).toBe(Failure.LISTENER_GONE);
  });

  test("ends with its stream, if this side destroys that without an error", async () => {
    const { client, calling } = await joined();
    client.destroy();
    expect((await calling.closed).failure).toBe(Failure.LISTENER_GONE);
  });

  test("ends its stream well when it has been idle", async () => {
    const { client, listener, calling } = await joined();
    calling.closeIfIdle();
    await Promise.all([client.closed, listener.closed]);
  });

  test("ends its stream for bytes that are none of a link", async () => {
    const { client, serving } = await joined();
    quiet(client).write(new Uint8Array([0xff]));
    expect((await serving.closed).failure).toBe(Failure.PROTOCOL_VIOLATION);
    expect((await rejection(client.closed)).failure).toBe(Failure.PROTOCOL_VIOLATION);
  });

  test.each(["", "text"])("ends a stream of another codec for the text %j", async (text) => {
    const [client, listener] = joinedStreams() as unknown as [RawStream, LinkStream];
    serveLink(listener, { maxCalls: 8, onRequest: refuse });
    client.on("error", () => {}).write(text);
    expect((await rejection(client.closed)).failure).toBe(Failure.PROTOCOL_VIOLATION);
  });

  test("refuses calls that the listener makes to a client that serves none", async () => {
    const { serving } = await joined();
    const channel = serving.open(request());
    expect(await rejection(channel.response.promise)).toMatchObject({ code: Code.Unimplemented });
  });
});
