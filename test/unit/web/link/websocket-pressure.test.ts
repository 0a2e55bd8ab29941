import { create } from "@bufbuild/protobuf";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PacketSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import { ChannelBodies } from "../../../../link/channel/channel-bodies.js";
import { decodeLinkMessage, type IncomingPacket } from "../../../../link/packet/link-message.js";
import { openWebSocketLink } from "../../../../web/link/websocket-link.js";
import { FakeClock } from "../../../fakes/fake-clock.js";
import { FakeSocket } from "../../../fakes/fake-socket.js";
import { packet, request } from "../../../fakes/links.js";
import { settled } from "../../../fakes/outcome.js";

const maxBatchBytes = 65_536;
/** What a batch has beside its data. */
const overheadBytes = 1_024;
const maxBufferedBytes = 1_048_576;
const pingFromBytes = 786_432;
const answerTimeoutMs = 7_000;
const bodyBytes = 4 * maxBufferedBytes;

beforeEach(() => vi.stubGlobal("WebSocket", FakeSocket));
afterEach(() => vi.unstubAllGlobals());

/** A link on which a body is sent, with credit for all of it. */
async function sending() {
  const clock = new FakeClock();
  const opening = openWebSocketLink("http://relay.example", clock, 1_000);
  const socket = FakeSocket.last;
  socket.open(maxBatchBytes);
  const { link, watch } = await opening;
  const channel = link.open(request());
  socket.answer(create(PacketSchema, { channel: channel.id, content: { case: "credit", value: 2n ** 40n } }));
  const body = new Uint8Array(bodyBytes).map((_, at) => at / 1_000);
  void new ChannelBodies(channel).send([body]).catch(() => {});
  await settled();
  return { socket, body, link, watch, clock };
}

const isPing = ({ content }: IncomingPacket) => content.case === "ping";
const pong = packet({ content: { case: "pong", value: {} } });

test("a WebSocket that gets rid of nothing is handed no more than it may hold, and all of it in the end", async () => {
  const { socket, body } = await sending();
  expect(socket.bufferedAmount).toBeGreaterThan(maxBufferedBytes);
  const received: Uint8Array[] = [];
  while (socket.bufferedAmount > 0) {
    expect(socket.bufferedAmount).toBeLessThan(maxBufferedBytes + maxBatchBytes + overheadBytes);
    const packets = socket.read();
    for (const { content } of packets) if (content.case === "data") received.push(content.value);
    // Nothing but the answer tells that it was read.
    await settled();
    expect(socket.sent).toEqual([]);
    for (const _ of packets.filter(isPing)) socket.answer(pong);
    await settled();
  }
  expect(Buffer.compare(Buffer.concat(received), body)).toBe(0);
});

test("the ping is on its way before the WebSocket holds all that it may, and is the only one", async () => {
  const { socket } = await sending();
  let bytes = 0;
  let bytesBeforePing = 0;
  let pings = 0;
  for (const message of socket.sent) {
    if (decodeLinkMessage(message).packets.some(isPing)) {
      pings += 1;
      bytesBeforePing = bytes;
    }
    bytes += message.byteLength;
  }
  expect(pings).toBe(1);
  expect(bytesBeforePing).toBeGreaterThan(pingFromBytes);
  expect(bytesBeforePing).toBeLessThan(pingFromBytes + maxBatchBytes + overheadBytes);
});

test("a link whose WebSocket slowly gets rid of what it holds is not taken for lost, and one that has stopped is", async () => {
  const { socket, link, watch, clock } = await sending();
  watch.ask();
  for (let rounds = 0; rounds < 3; rounds += 1) {
    socket.bufferedAmount -= 100_000;
    clock.advance(answerTimeoutMs);
    expect(link.isOpen).toBe(true);
  }
  // What goes in meanwhile does not hide what got out.
  socket.bufferedAmount -= 500_000;
  const heldBytes = socket.bufferedAmount;
  socket.answer(pong);
  await settled();
  expect(socket.bufferedAmount).toBeGreaterThan(heldBytes + 500_000 - 1);
  clock.advance(answerTimeoutMs);
  expect(link.isOpen).toBe(true);
  clock.advance(answerTimeoutMs);
  expect(link.isOpen).toBe(false);
});
