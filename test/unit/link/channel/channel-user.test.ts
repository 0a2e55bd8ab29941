import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure, Hop } from "../../../../gen/streamserver/v1/failure_pb.js";
import { ChannelResponseSchema, type Packet } from "../../../../gen/streamserver/v1/link_pb.js";
import { Parts } from "../../../../leg/parts.js";
import type { Channel } from "../../../../link/channel/channel.js";
import { ChannelBodies } from "../../../../link/channel/channel-bodies.js";
import { channelWindowBytes } from "../../../../link/channel/channel-inbox.js";
import type { ChannelUser } from "../../../../link/channel/channel-user.js";
import type { Link } from "../../../../link/link.js";
import { packetMessage } from "../../../../link/packet/outgoing-packet.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { maxPacketBytes, newLink, packet, request } from "../../../fakes/links.js";
import { settled } from "../../../fakes/outcome.js";

const data = (value: Uint8Array, channel = 1) => packet({ channel, content: { case: "data", value } });
const zeros = (bytes: number, channel = 1) => data(new Uint8Array(bytes), channel);
const end = packet({ channel: 1, content: { case: "end", value: {} } });
const ping = packet({ content: { case: "ping", value: {} } });
const credit = (value: number, channel = 1) => packet({ channel, content: { case: "credit", value: BigInt(value) } });
const ok = create(ChannelResponseSchema, { status: 200 });

/** A user that writes down what it is told, and does what the test says at each call. */
class Told implements ChannelUser {
  readonly told: string[] = [];
  readonly errors: (StreamError | undefined)[] = [];
  at: (call: string) => void = () => {};

  onData(chunk: Uint8Array): void {
    this.#tell(`data ${chunk.byteLength}`);
  }

  onEnd(): void {
    this.#tell("end");
  }

  onDrain(): void {
    this.#tell("drain");
  }

  onClosed(error: StreamError | undefined): void {
    this.errors.push(error);
    this.#tell(error === undefined ? "closed" : "failed");
  }

  #tell(call: string): void {
    this.told.push(call);
    this.at(call);
  }
}

/** One end of a link, whose packets the test takes. */
function openLink(onRequest?: (channel: Channel) => void) {
  const link = newLink(onRequest && { onRequest });
  const take = (maxBatchBytes = 16_777_216): Packet[] => link.takeBatch(maxBatchBytes).map(packetMessage);
  return { link, take, user: new Told() };
}

/** A client's channel, answered. */
function clientChannel() {
  const { link, take, user } = openLink();
  const channel = link.open(request());
  link.receive(packet({ channel: 1, content: { case: "response", value: ok } }));
  take();
  return { link, take, user, channel };
}

/** A relay's channel. */
function relayChannel() {
  const opened: Channel[] = [];
  const { link, take, user } = openLink((channel) => void opened.push(channel));
  link.receive(packet({ channel: 1, content: { case: "request", value: request() } }));
  return { link, take, user, channel: opened[0] as Channel };
}

const ends: [string, () => ReturnType<typeof clientChannel>][] = [
  ["client", clientChannel],
  ["relay", relayChannel],
];

const kindsOf = (packets: Packet[]) => packets.map(({ content }) => content.case);
const dataOf = (packets: Packet[]) =>
  Buffer.concat(packets.flatMap(({ content }) => (content.case === "data" ? [content.value] : [])));

describe.each(ends)("of a %s", (role, open) => {
  test("Channel.use hands over data in the turn in which it comes", () => {
    const { link, user, channel } = open();
    channel.use(user);
    link.receive(zeros(10));
    expect(user.told).toEqual(["data 10"]);
    link.receive(zeros(2_000));
    link.receive(zeros(3_000));
    expect(user.told).toEqual(["data 10", "data 2000", "data 3000"]);
  });

  test("Channel.use hands over what came before it, in order, and its end", () => {
    const { link, user, channel } = open();
    for (const each of [zeros(2_000), zeros(3_000), end]) link.receive(each);
    channel.use(user);
    expect(user.told.filter((call) => call !== "closed")).toEqual(["data 2000", "data 3000", "end"]);
  });

  test("Channel.pause in onData stops the data that waits and the data that comes, until resume", () => {
    const { link, user, channel } = open();
    link.receive(zeros(2_000));
    link.receive(zeros(3_000));
    user.at = () => channel.pause();
    channel.use(user);
    expect(user.told).toEqual(["data 2000"]);
    link.receive(zeros(4_000));
    expect(user.told).toEqual(["data 2000"]);
    channel.resume();
    expect(user.told).toEqual(["data 2000", "data 3000"]);
    channel.resume();
    link.receive(zeros(5_000));
    expect(user.told).toEqual(["data 2000", "data 3000", "data 4000"]);
    channel.resume();
    expect(user.told).toEqual(["data 2000", "data 3000", "data 4000", "data 5000"]);
  });

  test("Channel.pause and resume in onData lose nothing, and keep the order", () => {
    const { link, user, channel } = open();
    for (const bytes of [2_000, 3_000, 4_000]) link.receive(zeros(bytes));
    link.receive(end);
    user.at = (call) => {
      if (!call.startsWith("data")) return;
      channel.pause();
      channel.resume();
    };
    channel.use(user);
    expect(user.told.filter((call) => call !== "closed")).toEqual(["data 2000", "data 3000", "data 4000", "end"]);
  });

  test("Channel hands over data that comes within onData after the data that waited", () => {
    const { link, user, channel } = open();
    for (const bytes of [2_000, 3_000]) link.receive(zeros(bytes));
    user.at = (call) => call === "data 2000" && link.receive(zeros(4_000));
    channel.use(user);
    expect(user.told).toEqual(["data 2000", "data 3000", "data 4000"]);
  });

  test("Channel grants nothing more of a body that has ended", () => {
    const { link, take, user, channel } = open();
    for (let left = channelWindowBytes; left > 0; left -= maxPacketBytes) link.receive(zeros(maxPacketBytes));
    link.receive(end);
    channel.use(user);
    expect(user.told).toContain("end");
    expect(kindsOf(take())).toEqual([]);
  });

  test("Channel.write sends no packet for no bytes", () => {
    const { take, channel } = open();
    expect(channel.write(new Uint8Array())).toBe(true);
    expect(take()).toEqual([]);
  });

  test("ChannelUser.onEnd waits for resume, and for the data before the end to be read", () => {
    const { link, user, channel } = open();
    channel.use(user);
    channel.pause();
    link.receive(zeros(2_000));
    link.receive(end);
    expect(user.told.filter((call) => call !== "closed")).toEqual([]);
    user.at = (call) => {
      if (call.startsWith("data")) channel.pause();
    };
    channel.resume();
    expect(user.told.filter((call) => call !== "closed")).toEqual(["data 2000"]);
    channel.resume();
    channel.resume();
    expect(user.told.filter((call) => call !== "closed")).toEqual(["data 2000", "end"]);
  });

  test("empty data is nothing to read", async () => {
    const { link, user, channel } = open();
    channel.use(user);
    link.receive(zeros(0));
    expect(user.told).toEqual([]);
    const other = open();
    const read = new ChannelBodies(other.channel).received().next();
    await settled();
    other.link.receive(zeros(0));
    await settled();
    other.link.receive(zeros(10));
    expect((await read).value).toHaveLength(10);
  });

  test.each<[string, (link: Link, channel: Channel) => void]>([
    ["this side resets the channel", (_, channel) => channel.reset(new StreamError("enough", { code: Code.Aborted }))],
    [
      "the other side resets the channel",
      (link) => link.receive(packet({ channel: 1, content: { case: "reset", value: { code: Code.Aborted } } })),
    ],
    ["the link closes", (link) => link.close(new StreamError("cut", { code: Code.Aborted }))],
  ])("ChannelUser.onClosed comes once and as the last, with the error, when %s", (_, fail) => {
    const { link, take, user, channel } = open();
    channel.use(user);
    channel.pause();
    link.receive(zeros(2_000));
    channel.write(new Uint8Array(2 * channelWindowBytes));
    fail(link, channel);
    fail(link, channel);
    channel.resume();
    link.receive(zeros(2_000));
    link.receive(end);
    link.receive(credit(2 ** 40));
    expect(channel.write(new Uint8Array(10))).toBe(true);
    channel.end();
    channel.end();
    take();
    expect(user.told).toEqual(["failed"]);
    expect(user.errors).toMatchObject([{ code: Code.Aborted }]);
    const late = new Told();
    channel.use(late);
    expect(late.told).toEqual(["failed"]);
    expect(late.errors).toEqual(user.errors);
  });

  test("ChannelUser.onClosed is the last call where a grant for data that comes cuts the link off", () => {
    const { link, user, channel } = open();
    channel.use(user);
    // As many answers wait as may: 4 MiB, of 64 bytes each.
    for (let pongs = 0; pongs < 4_194_304 / 64; pongs += 1) link.receive(ping);
    expect(link.isOpen).toBe(true);
    link.receive(zeros(maxPacketBytes));
    link.receive(zeros(maxPacketBytes));
    expect(link.isOpen).toBe(false);
    expect(user.told.at(-1)).toBe("failed");
    expect(user.errors).toMatchObject([{ failure: Failure.LIMIT_REACHED }]);
  });

  test("a user may reset its channel in onData, and hears of nothing but that", () => {
    const { link, take, user, channel } = open();
    for (const each of [zeros(2_000), zeros(3_000)]) link.receive(each);
    user.at = (call) => {
      if (call.startsWith("data")) channel.reset(new StreamError("enough"));
    };
    channel.use(user);
    link.receive(zeros(4_000));
    expect(user.told).toEqual(["data 2000", "failed"]);
    expect(kindsOf(take())).toEqual(["reset"]);
  });

  test("Channel.write returns false for want of credit, and onDrain comes once, when all that waits is queued", () => {
    const { link, take, user, channel } = open();
    channel.use(user);
    const chunk = () => new Uint8Array(100_000).fill(1);
    expect([1, 2, 3, 4].map(() => channel.write(chunk()))).toEqual([true, true, false, false]);
    expect(dataOf(take())).toHaveLength(200_000);
    link.receive(credit(300_000));
    expect(dataOf(take())).toHaveLength(100_000);
    expect(user.told).toEqual([]);
    // A grant of an offset that was granted before makes no room.
    link.receive(credit(300_000));
    expect(user.told).toEqual([]);
    link.receive(credit(500_000));
    expect(user.told).toEqual(["drain"]);
    expect(dataOf(take())).toHaveLength(100_000);
    link.receive(credit(900_000));
    expect(user.told).toEqual(["drain"]);
    expect(channel.write(chunk())).toBe(true);
  });

  test("Channel.write keeps its order: little that is written behind data that waits, waits too", () => {
    const { link, take, user, channel } = open();
    channel.use(user);
    channel.write(new Uint8Array(200_000).fill(1));
    expect(channel.write(new Uint8Array(100_000).fill(2))).toBe(false);
    expect(channel.write(new Uint8Array(10).fill(3))).toBe(false);
    link.receive(credit(2 ** 40));
    const sent = [...take(), ...take()];
    const values = sent.flatMap(({ content }) => (content.case === "data" ? [content.value[0]] : []));
    expect([...new Set(values)]).toEqual([1, 2, 3]);
  });

  test("Channel.write returns false while the link has no room, and onDrain comes when it has", () => {
    const { link, take, user, channel } = open();
    channel.use(user);
    link.receive(credit(2 ** 40));
    const body = new Uint8Array(10 * maxPacketBytes).map((_, at) => at / 1_000);
    expect(channel.write(body)).toBe(false);
    const sent: Packet[] = [];
    for (let packets = 0; packets < 10 && user.told.length === 0; packets += 1) {
      const batch = take(1);
      expect(batch).toHaveLength(1);
      sent.push(...batch);
    }
    expect(user.told).toEqual(["drain"]);
    sent.push(...take());
    expect(Buffer.compare(dataOf(sent), body)).toBe(0);
    expect(sent).toHaveLength(10);
    expect(take()).toEqual([]);
  });

  test("what a user writes in onDrain follows in its order, and onDrain comes again for it", () => {
    const { link, take, user, channel } = open();
    channel.use(user);
    let value = 1;
    const write = () => channel.write(new Uint8Array(maxPacketBytes).fill(value++));
    while (write());
    const written: boolean[] = [];
    user.at = () => {
      while (value < 20) {
        written.push(write());
        if (!written.at(-1)) return;
      }
    };
    const sent = take();
    let granted = channelWindowBytes;
    for (let grants = 0; grants < 20; grants += 1) {
      granted += 3 * maxPacketBytes;
      link.receive(credit(granted));
      sent.push(...take());
    }
    const values = sent.flatMap(({ content }) => (content.case === "data" ? [content.value[0]] : []));
    expect(values).toEqual(Array.from({ length: 19 }, (_, at) => at + 1));
    expect(user.told.length).toBe(written.filter((isSent) => !isSent).length + 1);
  });

  test("an end waits behind the data that was written before it", () => {
    const { link, take, user, channel } = open();
    channel.use(user);
    expect(channel.write(new Uint8Array(channelWindowBytes + 1))).toBe(false);
    if (role === "client") channel.end();
    else channel.end();
    expect(kindsOf(take())).toEqual(["data", "data"]);
    expect(user.told).toEqual([]);
    link.receive(credit(2 * channelWindowBytes));
    expect(kindsOf(take())).toEqual(["data", "end"]);
    channel.end();
    channel.end();
    expect(take()).toEqual([]);
    expect(link.size).toBe(role === "client" ? 1 : 0);
    expect(user.told.includes("closed")).toBe(role === "relay");
  });

  test("a reset waits behind nothing that waits for credit, and drops it", () => {
    const { link, take, user, channel } = open();
    channel.use(user);
    channel.write(new Uint8Array(channelWindowBytes + 1));
    if (role === "client") channel.end();
    else channel.end();
    take();
    channel.reset(new StreamError("enough"));
    link.receive(credit(2 * channelWindowBytes));
    expect(kindsOf(take())).toEqual(["reset"]);
    expect(user.told).toEqual(["failed"]);
  });

  test("data that is transferred away while it waits resets the channel, as a mistake of the caller's own", () => {
    const { link, take, user, channel } = open();
    channel.use(user);
    const lost = new Uint8Array(100_000);
    expect(channel.write(new Uint8Array(channelWindowBytes))).toBe(true);
    expect(channel.write(lost)).toBe(false);
    channel.write(new Uint8Array(10));
    take();
    structuredClone(lost, { transfer: [lost.buffer] });
    link.receive(credit(2 ** 40));
    expect(kindsOf(take())).toEqual(["reset"]);
    expect(user.told).toEqual(["failed"]);
    expect(user.errors).toMatchObject([{ code: Code.InvalidArgument, hop: Hop.CALLER }]);
  });

  test("Channel.write of data that is gone already resets the channel", () => {
    const { take, user, channel } = open();
    channel.use(user);
    const lost = new Uint8Array(100);
    const parts = new Parts([lost, new Uint8Array(10)]);
    structuredClone(lost, { transfer: [lost.buffer] });
    channel.write(parts);
    expect(kindsOf(take())).toEqual(["reset"]);
    expect(user.told).toEqual(["failed"]);
  });
});

test("the end of an answer closes its channel at once, and is told when the answer is read", () => {
  const { link, user, channel } = clientChannel();
  channel.use(user);
  channel.pause();
  link.receive(zeros(2_000));
  link.receive(end);
  expect(user.told).toEqual(["closed"]);
  expect(link.size).toBe(0);
  channel.resume();
  expect(user.told).toEqual(["closed", "data 2000", "end"]);
});

test("the end of an answer that is being read is told in the turn in which it comes", () => {
  const { link, user, channel } = clientChannel();
  channel.use(user);
  link.receive(zeros(10));
  link.receive(end);
  expect(user.told).toEqual(["data 10", "closed", "end"]);
});

test("the end of a request leaves the channel open for the answer", () => {
  const { link, take, user, channel } = relayChannel();
  channel.use(user);
  link.receive(end);
  expect(user.told).toEqual(["end"]);
  channel.respond(ok);
  expect(channel.write(new Uint8Array(10))).toBe(true);
  channel.end();
  expect(kindsOf(take())).toEqual(["response", "data", "end"]);
  expect(user.told).toEqual(["end", "closed"]);
});

test("Channel.end tells of no end of a request that goes on", () => {
  const { link, user, channel } = relayChannel();
  channel.use(user);
  channel.end();
  link.receive(zeros(10));
  link.receive(end);
  expect(user.told.filter((call) => call !== "end")).toEqual(["closed"]);
});

test("an answered channel can be read to the end of what has come, and grants nothing for it", () => {
  const { link, take, user, channel } = relayChannel();
  for (let left = channelWindowBytes; left > 0; left -= maxPacketBytes) link.receive(zeros(maxPacketBytes));
  channel.end();
  channel.use(user);
  expect(user.told).toEqual(["closed", "data 131072", "data 131072"]);
  expect(kindsOf(take())).toEqual(["end"]);
});

test("RelayLink.receive resets a channel that is opened twice", () => {
  const { link, take, user, channel } = relayChannel();
  channel.use(user);
  link.receive(packet({ channel: 1, content: { case: "request", value: request() } }));
  expect(user.errors).toMatchObject([{ failure: Failure.CHANNEL_INVALID }]);
  expect(kindsOf(take())).toEqual(["reset"]);
});

/** A link with channels that have credit for all they send. */
function channelsWithCredit(count: number) {
  const { link, take } = openLink();
  const users = Array.from({ length: count }, () => {
    const channel = link.open(request());
    const user = new Told();
    channel.use(user);
    link.receive(credit(2 ** 40, channel.id));
    return { channel, user };
  });
  take();
  return { link, take, users };
}

test.each([
  ["one packet", 1],
  ["several packets", 400_000],
])("channels that wait for room take turns of one packet each, when %s leave at a time", (_, batchBytes) => {
  const { take, users } = channelsWithCredit(3);
  for (const { channel } of users) expect(channel.write(new Uint8Array(8 * maxPacketBytes))).toBe(false);
  const order: number[] = [];
  for (let batch = take(batchBytes); batch.length > 0; batch = take(batchBytes))
    order.push(...batch.map(({ channel }) => channel));
  const first = order.slice(0, order.indexOf(2));
  // The first has filled the room that there was. Then each has its turn, until the first has nothing left.
  expect(first.length).toBeLessThanOrEqual(4);
  const rounds = Math.floor((order.lastIndexOf(1) - first.length) / 3);
  const round = (at: number) => order.slice(first.length + 3 * at).slice(0, 3);
  for (let at = 0; at < rounds; at += 1) expect(round(at)).toEqual([2, 3, 1]);
  expect(rounds).toBeGreaterThanOrEqual(4);
  expect(order).toHaveLength(3 * 8);
  for (const { user } of users) expect(user.told).toEqual(["drain"]);
});

test("a channel that goes on writing in its turn leaves the next turn to the others", () => {
  const { take, users } = channelsWithCredit(2);
  const [greedy, modest] = users as [(typeof users)[0], (typeof users)[0]];
  let left = 50;
  const write = () => {
    while (left > 0) {
      left -= 1;
      if (!greedy.channel.write(new Uint8Array(maxPacketBytes))) return;
    }
  };
  greedy.user.at = write;
  write();
  expect(modest.channel.write(new Uint8Array(10 * maxPacketBytes))).toBe(false);
  const order: number[] = [];
  for (let batch = take(1); batch.length > 0; batch = take(1)) order.push(...batch.map(({ channel }) => channel));
  expect(order.lastIndexOf(modest.channel.id)).toBeLessThanOrEqual(4 + 2 * 10);
  expect(order).toHaveLength(50 + 10);
});

test("a turn of a channel whose data was transferred away goes to the next", () => {
  const { take, users } = channelsWithCredit(2);
  const [losing, next] = users as [(typeof users)[0], (typeof users)[0]];
  const lost = new Uint8Array(8 * maxPacketBytes);
  losing.channel.write(new Uint8Array(3 * maxPacketBytes));
  losing.channel.write(lost);
  next.channel.write(new Uint8Array(3 * maxPacketBytes));
  structuredClone(lost, { transfer: [lost.buffer] });
  const sent: Packet[] = [];
  for (let batch = take(1); batch.length > 0; batch = take(1)) sent.push(...batch);
  const kinds = (id: number) => kindsOf(sent.filter(({ channel }) => channel === id));
  expect(kinds(losing.channel.id)).toEqual(["data", "data", "data", "reset"]);
  expect(kinds(next.channel.id)).toEqual(["data", "data", "data"]);
  expect(losing.user.told).toEqual(["failed"]);
  expect(next.user.told).toEqual(["drain"]);
});

test("a user that resets another channel in onDrain takes its turn away", () => {
  const { take, users } = channelsWithCredit(3);
  const [first, second, third] = users as [(typeof users)[0], (typeof users)[0], (typeof users)[0]];
  first.channel.write(new Uint8Array(4 * maxPacketBytes));
  second.channel.write(new Uint8Array(20 * maxPacketBytes));
  third.channel.write(new Uint8Array(4 * maxPacketBytes));
  first.user.at = () => second.channel.reset(new StreamError("enough", { failure: Failure.DECLINED }));
  const sent: Packet[] = [];
  for (let batch = take(1); batch.length > 0; batch = take(1)) sent.push(...batch);
  expect(second.user.told).toEqual(["failed"]);
  expect(third.user.told).toEqual(["drain"]);
  const afterReset = sent.slice(sent.findIndex(({ content }) => content.case === "reset") + 1);
  expect(afterReset.some(({ channel }) => channel === second.channel.id)).toBe(false);
});

test("Link.onFilled is called for the first packet that waits, and again only after all were taken", () => {
  const { link, take } = openLink();
  let filled = 0;
  link.onFilled = () => {
    filled += 1;
  };
  const channel = link.open(request());
  channel.write(new Uint8Array(10));
  expect(filled).toBe(1);
  expect(take(1)).toHaveLength(1);
  channel.write(new Uint8Array(10));
  expect(filled).toBe(1);
  expect(take()).toHaveLength(2);
  expect(take()).toEqual([]);
  channel.end();
  expect(filled).toBe(2);
  link.close(new StreamError("over"));
  channel.write(new Uint8Array(10));
  expect(filled).toBe(2);
  expect(take()).toEqual([]);
});
