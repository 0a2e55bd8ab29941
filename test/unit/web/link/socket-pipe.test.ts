import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import type { Channel } from "../../../../link/channel/channel.js";
import { channelWindowBytes } from "../../../../link/channel/channel-inbox.js";
import { Link } from "../../../../link/link.js";
import { LinkSender } from "../../../../link/link-sender.js";
import { decodeLinkMessage, type IncomingPacket } from "../../../../link/packet/link-message.js";
import { StreamError } from "../../../../stream/error/stream-error.js";
import { type PipeSocket, SocketPipe } from "../../../../web/link/socket-pipe.js";
import { maxPacketBytes, packet, request } from "../../../fakes/links.js";
import { settled } from "../../../fakes/outcome.js";

const maxBatchBytes = 65_536;

/** A socket that reads when the test does. */
class SocketInHand implements PipeSocket {
  bufferedAmount = 0;
  isMemoryFree = true;
  /** The bytes of each message, as they were handed over, and as they are in memory. */
  readonly sent: { copy: Uint8Array; memory: ArrayBuffer }[] = [];
  beforeSend: () => void = () => {};

  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.beforeSend();
    this.sent.push({ copy: new Uint8Array(bytes), memory: bytes.buffer });
    this.bufferedAmount += bytes.byteLength;
  }

  /** The packets of each message that came since. */
  take(): IncomingPacket[][] {
    this.bufferedAmount = 0;
    return this.sent.splice(0).map(({ copy }) => decodeLinkMessage(copy).packets);
  }
}

function sending() {
  const link = new Link({ maxChannels: 8, maxPacketBytes });
  const socket = new SocketInHand();
  const errors: unknown[] = [];
  new LinkSender(link, new SocketPipe(socket, link), maxBatchBytes, (reason) => errors.push(reason));
  return { link, socket, errors };
}

const kindsOf = (messages: IncomingPacket[][]) => messages.map((each) => each.map(({ content }) => content.case));
const use = (channel: Channel) => {
  const errors: (StreamError | undefined)[] = [];
  channel.use({
    onData: () => {},
    onEnd: () => {},
    onDrain: () => {},
    onClosed: (error) => errors.push(error),
  });
  return errors;
};

test("LinkSender sends the packets of one turn in one message, after that turn", async () => {
  const { link, socket } = sending();
  const channel = link.open(request());
  channel.write(new Uint8Array(10));
  channel.write(new Uint8Array(10));
  expect(socket.sent).toEqual([]);
  await settled();
  expect(kindsOf(socket.take())).toEqual([["request", "data", "data"]]);
  channel.end();
  await settled();
  expect(kindsOf(socket.take())).toEqual([["end"]]);
});

test("LinkSender sends more than a batch in as many messages, in the same turn", async () => {
  const { link, socket } = sending();
  const channel = link.open(request());
  for (let value = 0; value < 6; value += 1) channel.write(new Uint8Array(30_000).fill(value));
  await Promise.resolve();
  const messages = socket.take();
  expect(messages.length).toBeGreaterThan(1);
  const packets = messages.flat();
  const values = packets.flatMap(({ content }) => (content.case === "data" ? [content.value[0]] : []));
  expect(values).toEqual([0, 1, 2, 3, 4, 5]);
  for (const message of messages) {
    const bytes = message.reduce(
      (sum, { content }) => sum + (content.case === "data" ? content.value.byteLength : 0),
      0,
    );
    expect(bytes).toBeLessThanOrEqual(maxBatchBytes);
  }
});

test("LinkSender uses the memory of a message again where it is free, and else leaves it to the socket", async () => {
  for (const isMemoryFree of [true, false]) {
    const { link, socket } = sending();
    socket.isMemoryFree = isMemoryFree;
    const channel = link.open(request());
    for (let messages = 0; messages < 3; messages += 1) {
      channel.write(new Uint8Array(20_000).fill(messages));
      await settled();
    }
    expect(socket.sent).toHaveLength(3);
    expect(new Set(socket.sent.map(({ memory }) => memory)).size).toBe(isMemoryFree ? 1 : 3);
  }
});

test("LinkSender waits while the socket holds 1 MiB, and asks once for the answer that lets it go on", async () => {
  const { link, socket } = sending();
  const channel = link.open(request());
  await settled();
  socket.take();
  socket.bufferedAmount = 1_048_577;
  for (let turns = 0; turns < 3; turns += 1) {
    channel.write(new Uint8Array(10));
    await settled();
  }
  expect(kindsOf(socket.take())).toEqual([["ping"]]);
  channel.write(new Uint8Array(10));
  link.receive(packet({ content: { case: "pong", value: {} } }));
  await settled();
  expect(kindsOf(socket.take()).flat()).toEqual(["data", "data", "data", "data"]);
});

test("LinkSender leaves out data that was transferred away, and sends the reset of its channel", async () => {
  const { link, socket, errors } = sending();
  const [losing, other] = [link.open(request()), link.open(request())];
  const ended = use(losing);
  await settled();
  socket.take();
  const lost = new Uint8Array(1_000);
  losing.write(lost);
  losing.write(new Uint8Array(10));
  other.write(new Uint8Array(20));
  structuredClone(lost, { transfer: [lost.buffer] });
  await settled();
  const sent = socket.take().flat();
  expect(sent.map(({ channel, content }) => [channel, content.case])).toEqual([
    [other.id, "data"],
    [losing.id, "reset"],
  ]);
  expect(ended).toMatchObject([{ code: Code.InvalidArgument }]);
  expect(errors).toEqual([]);
});

test("LinkSender tells of a socket that throws", async () => {
  const { link, socket, errors } = sending();
  const broken = new Error("broken");
  socket.beforeSend = () => {
    throw broken;
  };
  link.open(request());
  await settled();
  expect(errors).toEqual([broken]);
});

test("LinkSender sends nothing of a link that closes in the same turn, or while it sends", async () => {
  const first = sending();
  first.link.open(request());
  first.link.close(new StreamError("over"));
  await settled();
  expect(first.socket.sent).toEqual([]);
  const second = sending();
  second.socket.beforeSend = () => second.link.close(new StreamError("over"));
  const channel = second.link.open(request());
  channel.write(new Uint8Array(channelWindowBytes));
  await settled();
  expect(second.socket.sent).toHaveLength(1);
  expect(second.errors).toEqual([]);
});

test("Link.ping is answered for what it asked, whatever pings overtake it", async () => {
  const { link, socket } = sending();
  const channel = link.open(request());
  await settled();
  socket.take();
  socket.bufferedAmount = 1_048_577;
  channel.write(new Uint8Array(10));
  let answered = 0;
  void link.ping().then(() => {
    answered += 1;
  });
  await settled();
  expect(kindsOf(socket.take())).toEqual([["ping"]]);
  link.receive(packet({ content: { case: "pong", value: {} } }));
  await settled();
  expect(kindsOf(socket.take())).toEqual([["data", "ping"]]);
  expect(answered).toBe(0);
  link.receive(packet({ content: { case: "pong", value: {} } }));
  await settled();
  expect(answered).toBe(1);
});
