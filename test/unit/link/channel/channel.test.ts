import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { ChannelResponseSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../../../link/channel/channel.js";
import { ChannelBodies } from "../../../../link/channel/channel-bodies.js";
import { channelWindowBytes } from "../../../../link/channel/channel-inbox.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { body, bytesOf, joinedLinks, loneRelayLink, packet, request } from "../../../fakes/links.js";
import { promiseState, rejection, settled } from "../../../fakes/outcome.js";

const ok = create(ChannelResponseSchema, { status: 200, headers: [{ name: "x-from", value: "relay" }] });

/** Both ends of one channel. */
async function joinedChannels(): Promise<[Channel, Channel]> {
  const opened: Channel[] = [];
  const [client] = joinedLinks((channel) => void opened.push(channel));
  const channel = client.open(request());
  await settled();
  return [channel, opened[0] as Channel];
}

test("a request, a body, an answer, its body and its trailers arrive as they were", async () => {
  const paths: string[] = [];
  const [client, relay] = joinedLinks(async (channel, { path }) => {
    paths.push(path);
    const bodies = new ChannelBodies(channel);
    const sent = await bytesOf(bodies.received());
    channel.respond(ok);
    await bodies.send(body(sent.byteLength * 2));
    channel.end([{ $typeName: "streamserver.v1.Header", name: "x-end", value: "done" }]);
  });
  const channel = client.open(request("/service/Method"));
  const bodies = new ChannelBodies(channel);
  await bodies.send(body(1_000));
  channel.end();
  expect(await channel.response.promise).toEqual(ok);
  expect((await bytesOf(bodies.received())).byteLength).toBe(2_000);
  expect(channel.trailer.get("x-end")).toBe("done");
  expect(paths).toEqual(["/service/Method"]);
  expect([client.size, relay.size]).toEqual([0, 0]);
});

test("both directions go on at once, each in order", async () => {
  const [client] = joinedLinks(async (channel) => {
    channel.respond(ok);
    const bodies = new ChannelBodies(channel);
    await bodies.send(bodies.received());
    channel.end();
  });
  const channel = client.open(request());
  const bodies = new ChannelBodies(channel);
  const sending = bodies.send(body(50_000, 40)).then(() => channel.end());
  const echo = await bytesOf(bodies.received());
  await sending;
  expect(Buffer.compare(echo, await bytesOf(body(50_000, 40)))).toBe(0);
});

test.each(["client", "relay"])(
  "what is not read stops the %s at one window, and reading lets it go on",
  async (who) => {
    const [client, relay] = await joinedChannels();
    const [sender, reader] = who === "client" ? [client, relay] : [relay, client];
    relay.respond(ok);
    let taken = 0;
    const counted = async function* () {
      for await (const chunk of body(10_000, 100)) {
        taken += chunk.byteLength;
        yield chunk;
      }
    };
    const sent = new ChannelBodies(sender).send(counted());
    expect(await promiseState(sent)).toBe("pending");
    await settled();
    expect(taken).toBeLessThanOrEqual(channelWindowBytes + 10_000);
    expect(taken).toBeGreaterThanOrEqual(channelWindowBytes);
    let read = 0;
    for await (const chunk of new ChannelBodies(reader).received()) {
      read += chunk.byteLength;
      if (read === 1_000_000) break;
    }
    expect(await promiseState(sent)).toBe("resolved");
  },
);

test("little that waits to be read keeps no large message of a WebSocket in memory", async () => {
  const [client, relay] = await joinedChannels();
  const network = Buffer.alloc(100_000);
  relay.receive({ channel: client.id, content: { case: "data", value: network.subarray(10, 11) } });
  const { value } = await new ChannelBodies(relay).received().next();
  expect(value?.buffer.byteLength).toBe(1);
});

test("what fits into a packet is not cut for credit, and a reader leaves enough for a whole packet", async () => {
  const [client, relay] = await joinedChannels();
  const chunkBytes = 100_000;
  const sent = new ChannelBodies(client).send(body(chunkBytes, 50));
  const sizes: number[] = [];
  for await (const chunk of new ChannelBodies(relay).received()) {
    sizes.push(chunk.byteLength);
    if (sizes.length === 50) break;
  }
  await sent;
  expect(sizes).toEqual(Array(50).fill(chunkBytes));
});

test.each([
  ["less than a quarter of a window", channelWindowBytes / 4 - 1, ["data"]],
  ["a quarter of a window", channelWindowBytes / 4, ["data", "credit"]],
])("a grant for %s goes along with data, and not alone", async (_, readBytes, kinds) => {
  const { link, said, opened } = loneRelayLink();
  link.receive(packet({ channel: 1, content: { case: "request", value: request() } }));
  link.receive(packet({ channel: 1, content: { case: "data", value: new Uint8Array(readBytes) } }));
  const [channel] = opened as [Channel];
  const bodies = new ChannelBodies(channel);
  await bodies.received().next();
  await settled();
  expect(said).toEqual([]);
  await bodies.send([new Uint8Array(1)]);
  await settled();
  expect(said.map(({ content }) => content.case)).toEqual(kinds);
});

test.each(["client", "relay"])("a reset by the %s ends the channel on both ends, with its reason", async (who) => {
  const [client, relay] = await joinedChannels();
  const own = who === "client" ? client : relay;
  const self = new ChannelBodies(own);
  const other = new ChannelBodies(who === "client" ? relay : client);
  const read = rejection(bytesOf(other.received()));
  const ownRead = rejection(bytesOf(self.received()));
  own.reset(new StreamError("enough", { code: Code.Aborted, failure: Failure.DECLINED }));
  expect(await read).toMatchObject({ code: Code.Aborted, message: "enough", failure: Failure.DECLINED, hop: Hop.PEER });
  expect((await ownRead).code).toBe(Code.Aborted);
  expect([self.signal.aborted, other.signal.aborted]).toEqual([true, true]);
});

test("a reset fails the answer that is waited for, and the body that is being sent", async () => {
  const [client, relay] = await joinedChannels();
  const sent = rejection(new ChannelBodies(client).send(body(channelWindowBytes, 2)));
  await settled();
  relay.reset(new StreamError("enough", { code: Code.Aborted }));
  expect((await rejection(client.response.promise)).code).toBe(Code.Aborted);
  expect((await sent).code).toBe(Code.Aborted);
});

test("a reset drops what was not read", async () => {
  const [client, relay] = await joinedChannels();
  await new ChannelBodies(client).send(body(1_000));
  await settled();
  client.reset(new StreamError("enough", { code: Code.Aborted }));
  await settled();
  expect((await rejection(new ChannelBodies(relay).received().next())).code).toBe(Code.Aborted);
});

test("what arrived before the end of an answer can still be read after it", async () => {
  const [client, relay] = await joinedChannels();
  relay.respond(ok);
  await new ChannelBodies(relay).send(body(1_000, 3));
  relay.end();
  await settled();
  expect((await bytesOf(new ChannelBodies(client).received())).byteLength).toBe(3_000);
});

test("an answer that ends stops the request that is still being sent", async () => {
  const [client, relay] = await joinedChannels();
  const sent = rejection(new ChannelBodies(client).send(body(channelWindowBytes, 2)));
  await settled();
  relay.respond(ok);
  relay.end();
  expect((await sent).code).toBe(Code.Canceled);
});

test("nothing is said twice: an end, a reset", async () => {
  const [client, relay] = await joinedChannels();
  client.end();
  client.end();
  expect((await bytesOf(new ChannelBodies(relay).received())).byteLength).toBe(0);
  relay.reset(new StreamError("first", { code: Code.Aborted }));
  relay.reset(new StreamError("second", { code: Code.Internal }));
  relay.end();
  expect((await rejection(client.response.promise)).code).toBe(Code.Aborted);
});
