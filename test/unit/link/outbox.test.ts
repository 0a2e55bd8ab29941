import { expect, test } from "vitest";
import { Parts } from "../../../leg/parts.js";
import { Outbox, packetOverheadBytes, type TurnTaker } from "../../../link/outbox.js";
import type { OutgoingPacket } from "../../../link/packet/outgoing-packet.js";

const data = (channel: number, bytes: number) => ({ channel, data: new Parts([new Uint8Array(bytes)]) });
const channelsOf = (packets: readonly OutgoingPacket[]) => packets.map(({ channel }) => channel);
/** Data that leaves no room for more. */
const full = data(9, 262_144);

/** A sender that has one packet to push in its turn. */
class Taker implements TurnTaker {
  readonly #outbox: Outbox<Taker>;
  readonly #channel: number;

  constructor(outbox: Outbox<Taker>, channel: number) {
    this.#outbox = outbox;
    this.#channel = channel;
  }

  goOn(): void {
    if (this.#outbox.takeTurn(this)) this.#outbox.push(data(this.#channel, 10));
  }
}

function fullOutbox() {
  const outbox = new Outbox<Taker>();
  outbox.push(full);
  const takers = [1, 2, 3].map((channel) => new Taker(outbox, channel)) as [Taker, Taker, Taker];
  for (const taker of takers) taker.goOn();
  return { outbox, takers };
}

test("Outbox.takeBatch takes one packet, and more as long as they fit", () => {
  const outbox = new Outbox();
  for (const bytes of [500, 100, 100, 100]) outbox.push(data(bytes, bytes));
  const bytesOf = (packets: number, dataBytes: number) => packets * packetOverheadBytes + dataBytes;
  expect(channelsOf(outbox.takeBatch(1))).toEqual([500]);
  expect([outbox.length, outbox.bytes]).toEqual([3, bytesOf(3, 300)]);
  expect(channelsOf(outbox.takeBatch(bytesOf(2, 200)))).toEqual([100, 100]);
  expect(channelsOf(outbox.takeBatch(bytesOf(2, 200)))).toEqual([100]);
  expect([outbox.takeBatch(1), outbox.length, outbox.bytes]).toEqual([[], 0, 0]);
});

test("Outbox.takeBatch gives the senders that wait their turns, in order, once there is room", () => {
  const { outbox } = fullOutbox();
  expect(channelsOf(outbox.takeBatch(1))).toEqual([9]);
  expect(channelsOf(outbox.takeBatch(1_000))).toEqual([1, 2, 3]);
});

test("Outbox.leave takes a sender out of the row", () => {
  const { outbox, takers } = fullOutbox();
  outbox.leave(takers[1]);
  outbox.takeBatch(1);
  expect(channelsOf(outbox.takeBatch(1_000))).toEqual([1, 3]);
});

test("Outbox.drop drops packets, keeps the order of the others, and makes room", () => {
  const outbox = new Outbox();
  for (const channel of [1, 9, 2, 9, 3]) outbox.push(channel === 9 ? full : data(channel, 10));
  outbox.drop(({ channel }) => channel === 9);
  expect(outbox.bytes).toBe(3 * (packetOverheadBytes + 10));
  expect(channelsOf(outbox.takeBatch(1_000))).toEqual([1, 2, 3]);
});

test("Outbox.clear drops the packets and the turns", () => {
  const { outbox } = fullOutbox();
  outbox.clear();
  expect([outbox.length, outbox.bytes]).toEqual([0, 0]);
  expect(outbox.takeBatch(1_000)).toEqual([]);
  expect(outbox.length).toBe(0);
});
