import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { ChannelRequestSchema, type Packet } from "../../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../../link/channel/channel.js";
import { ChannelBodies } from "../../../link/channel/channel-bodies.js";
import { channelWindowBytes } from "../../../link/channel/channel-inbox.js";
import { Link } from "../../../link/link.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import {
  body,
  bytesOf,
  joinedLinks,
  loneLink,
  maxPacketBytes,
  newLink,
  packet,
  packetBatches,
  request,
} from "../../fakes/links.js";
import { promiseState, rejection, settled, thrown } from "../../fakes/outcome.js";

const bodyBytes = 4 * maxPacketBytes;

test("of 50 channels of which one is not read, 49 send everything", async () => {
  const received = new Map<number, number>();
  const [client, relay] = joinedLinks(async (channel) => {
    if (channel.id === 7) return;
    received.set(channel.id, (await bytesOf(new ChannelBodies(channel).received())).byteLength);
  });
  const sending = Array.from({ length: 50 }, () => {
    const channel = client.open(request());
    return new ChannelBodies(channel).send(body(bodyBytes, 2)).then(() => channel.end());
  });
  await Promise.all(sending.filter((_, at) => at !== 6));
  await settled();
  expect([...received.values()]).toEqual(Array.from({ length: 49 }, () => 2 * bodyBytes));
  expect(await promiseState(sending[6] as Promise<void>)).toBe("pending");
  expect(await promiseState(relay.closed)).toBe("pending");
});

test("however many channels send at once, little waits to be sent, and each has its turn", async () => {
  const link = newLink();
  const batches = packetBatches(link, 131_072);
  for (let opened = 0; opened < 200; opened++)
    void new ChannelBodies(link.open(request())).send(body(maxPacketBytes, 2)).catch(() => {});
  await settled();
  expect(await promiseState(link.closed)).toBe("pending");
  const order: number[] = [];
  for (let data = 0; data < 400; ) {
    for (const { channel, content } of (await batches.next()).value ?? []) {
      if (content.case !== "data") continue;
      order.push(channel);
      data += 1;
    }
    await settled();
  }
  const round = Array.from({ length: 200 }, (_, at) => at + 1);
  expect(order).toEqual([...round, ...round]);
});

test("a channel that waits for credit keeps nobody from their turn", async () => {
  const { link, said } = loneLink();
  const blocked = link.open(request());
  const free = link.open(request());
  void new ChannelBodies(blocked).send(body(2 * channelWindowBytes)).catch(() => {});
  await settled();
  await new ChannelBodies(free).send(body(1_000));
  await settled();
  expect(said.at(-1)).toMatchObject({ channel: free.id, content: { case: "data" } });
});

test("a side that never reads is cut off before much is held for it", async () => {
  const link = newLink({ onRequest: () => {} });
  let provoked = 0;
  for (; provoked < 1_000_000 && (await isOpen(link, provoked)); provoked++) {
    link.receive(packet({ content: { case: "ping", value: {} } }));
  }
  expect(provoked).toBeLessThan(100_000);
  expect((await link.closed).failure).toBe(Failure.LIMIT_REACHED);
  const { done } = await packetBatches(link, 1_000).next();
  expect(done).toBe(true);
});

/** Looks only now and then: looking takes a turn. */
async function isOpen(link: Link, at: number): Promise<boolean> {
  return at % 10_000 !== 0 || (await promiseState(link.closed)) === "pending";
}

test("a link that closes fails its channels with the reason, and opens none any more", async () => {
  const opened: Channel[] = [];
  const [client, relay] = joinedLinks((channel) => void opened.push(channel));
  const channels = [client.open(request()), client.open(request())];
  await settled();
  const reads = opened.map((channel) => rejection(bytesOf(new ChannelBodies(channel).received())));
  const reason = new StreamError("cut", { failure: Failure.LEG_LOST });
  for (const link of [client, relay]) {
    link.close(reason);
    link.close(new StreamError("again", { failure: Failure.DRAINING }));
  }
  for (const { response } of channels) expect((await rejection(response.promise)).failure).toBe(Failure.LEG_LOST);
  for (const read of reads) expect((await read).failure).toBe(Failure.LEG_LOST);
  expect(await client.closed).toBe(reason);
  expect([client.size, relay.size]).toEqual([0, 0]);
  expect(thrown(() => client.open(request())).failure).toBe(Failure.LEG_LOST);
});

test("a link that closes fails bodies that wait for their turn", async () => {
  const link = newLink();
  for (let filling = 0; filling < 3; filling++)
    void new ChannelBodies(link.open(request())).send(body(maxPacketBytes)).catch(() => {});
  const waiting = Array.from({ length: 7 }, () =>
    rejection(new ChannelBodies(link.open(request())).send(body(maxPacketBytes))),
  );
  await settled();
  link.close(new StreamError("cut", { failure: Failure.LEG_LOST }));
  for (const failed of waiting) expect((await failed).failure).toBe(Failure.LEG_LOST);
});

test("a channel that is reset while it waits for its turn says nothing more", async () => {
  const link = newLink();
  const fill = () => new ChannelBodies(link.open(request())).send(body(maxPacketBytes)).catch(() => {});
  const filling = [fill(), fill(), fill()];
  const waiting = link.open(request());
  const sent = rejection(new ChannelBodies(waiting).send(body(maxPacketBytes)));
  await settled();
  waiting.reset(new StreamError("enough", { code: Code.Aborted }));
  const said: Packet[] = [];
  const batches = packetBatches(link, 1);
  for (let packets = 0; packets < 4 + 3 + 1; packets++) {
    said.push(...((await batches.next()).value ?? []));
    await settled();
  }
  expect((await sent).code).toBe(Code.Aborted);
  await Promise.all(filling);
  link.receive(packet({ content: { case: "ping", value: {} } }));
  expect((await batches.next()).value?.[0]?.content.case).toBe("pong");
  expect(said.filter(({ channel }) => channel === waiting.id).map(({ content }) => content.case)).toEqual([
    "request",
    "reset",
  ]);
});

test("the last channel that closes leaves the link idle", async () => {
  const { link } = loneLink();
  let idle = 0;
  link.onIdle = () => {
    idle += 1;
  };
  const [first, second] = [link.open(request()), link.open(request())];
  first.reset(new StreamError("enough"));
  expect(idle).toBe(0);
  link.closeIfIdle();
  expect(await promiseState(link.closed)).toBe("pending");
  second.reset(new StreamError("enough"));
  expect(idle).toBe(1);
  link.closeIfIdle();
  expect((await link.closed).code).toBe(Code.Canceled);
});

test("a client opens no more channels than the relay takes; one that closes makes room", () => {
  const { link } = loneLink({ maxChannels: 2 });
  const first = link.open(request());
  link.open(request());
  expect(thrown(() => link.open(request())).failure).toBe(Failure.LIMIT_REACHED);
  first.reset(new StreamError("enough"));
  expect(link.open(request()).id).toBe(3);
});

test("requests for which there is no room fail, and the others, with their ends, are sent", async () => {
  const { link, said } = loneLink();
  const large = create(ChannelRequestSchema, { path: "/test", headers: [{ name: "a", value: "x".repeat(9_000) }] });
  const channels: Channel[] = [];
  const full = thrown(() => {
    for (;;) channels.push(link.open(large));
  });
  expect(full).toMatchObject({ failure: Failure.LIMIT_REACHED, code: Code.ResourceExhausted });
  expect(link.size).toBe(channels.length);
  expect(channels.length).toBeGreaterThan(300);
  for (const channel of channels) channel.reset(new StreamError("x".repeat(1_024)));
  await settled();
  expect(link.isOpen).toBe(true);
  expect(said).toHaveLength(2 * channels.length);
  link.open(large);
});

test("a batch holds what fits into it, and one packet at least", async () => {
  const link = newLink();
  await new ChannelBodies(link.open(request())).send(body(1_000, 4));
  const large = packetBatches(link, 2_200);
  expect((await large.next()).value?.map(({ content }) => content.case)).toEqual(["request", "data", "data"]);
  const tiny = packetBatches(link, 1);
  expect((await tiny.next()).value).toHaveLength(1);
  expect((await tiny.next()).value).toHaveLength(1);
});

test("a link answers pings", async () => {
  const { link, said } = loneLink();
  link.receive(packet({ content: { case: "ping", value: {} } }));
  await settled();
  expect(said.map(({ channel, content }) => [channel, content.case])).toEqual([[0, "pong"]]);
});

test("a ping is answered by the first pong that comes for it, and an end of the link ends the wait", async () => {
  const { link, said } = loneLink();
  link.receive(packet({ content: { case: "pong", value: {} } }));
  const [first, second] = [link.ping(), link.ping()];
  await settled();
  expect(said.map(({ content }) => content.case)).toEqual(["ping", "ping"]);
  link.receive(packet({ content: { case: "pong", value: {} } }));
  expect([await promiseState(first), await promiseState(second)]).toEqual(["resolved", "pending"]);
  link.close(new StreamError("enough", { code: Code.Aborted }));
  expect((await rejection(second)).code).toBe(Code.Aborted);
  expect((await rejection(link.ping())).code).toBe(Code.Aborted);
});

test("a side that answers no ping is cut off before many wait", async () => {
  const { link } = loneLink();
  const pings = Array.from({ length: 100_001 }, () => rejection(link.ping()));
  expect((await link.closed).failure).toBe(Failure.LIMIT_REACHED);
  expect((await pings[0])?.failure).toBe(Failure.LIMIT_REACHED);
});

test("either side ends the whole link with a reset, and its channels with it", async () => {
  const { link } = loneLink();
  const channel = link.open(request());
  const reset = { code: Code.ResourceExhausted, reason: "enough", failure: Failure.LIMIT_REACHED };
  link.receive(packet({ content: { case: "reset", value: reset } }));
  expect(await link.closed).toMatchObject({
    code: Code.ResourceExhausted,
    failure: Failure.LIMIT_REACHED,
    message: "enough",
  });
  expect((await rejection(channel.response.promise)).failure).toBe(Failure.LIMIT_REACHED);
});

test("Link.withoutLost gives the turn to a channel that waits, when the data of a channel that is over makes room", () => {
  const link = new Link({ maxChannels: 8, maxPacketBytes });
  const [over, waiting] = [link.open(request()), link.open(request())];
  link.receive(packet({ channel: over.id, content: { case: "credit", value: 1_000_000n } }));
  const lost = [60_000, 131_072, 131_072].map((bytes) => new Uint8Array(bytes));
  for (const data of lost) over.write(data);
  expect(waiting.write(new Uint8Array(1_000))).toBe(false);
  link.receive(packet({ channel: over.id, content: { case: "reset", value: {} } }));
  for (const data of lost) structuredClone(data, { transfer: [data.buffer] });
  const kept = link.withoutLost(link.takeBatch(61_000));
  const sent = [...kept, ...link.takeBatch(61_000)];
  expect(sent.map((each) => ["data" in each, each.channel])).toEqual([
    [false, over.id],
    [false, waiting.id],
    [true, waiting.id],
  ]);
});
