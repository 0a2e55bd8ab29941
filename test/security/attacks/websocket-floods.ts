import { create } from "@bufbuild/protobuf";
import { PacketSchema } from "browser-stream-server/gen";
import { type Attack, type Bounds, mebibyte } from "../attack.ts";
import { floodSocket, linkMessage, openSocket, socketFrame } from "../wire/raw-websocket.ts";

const none = new Uint8Array();

const floodBounds: Bounds = { cutOffMs: 2_000, peakBytes: 10 * mebibyte, roundTripMs: 250, turnMs: 50 };

const times = (frame: Buffer, count: number) => Buffer.concat(Array.from({ length: count }, () => frame));

const packet = (channel: number, content: Parameters<typeof create<typeof PacketSchema>>[1]) =>
  create(PacketSchema, { channel, ...content });

/** A message that opens calls and resets each at once. */
function openAndReset(from: number, count: number): Buffer {
  const headers = [{ name: "content-type", value: "application/connect+proto" }];
  const value = { path: "/streamserver.v1.RelayService/Connect", headers };
  const packets = Array.from({ length: count }, (_, at) => [
    packet(from + at, { content: { case: "request", value } }),
    packet(from + at, { content: { case: "reset", value: { code: 1 } } }),
  ]);
  return linkMessage(packets.flat());
}

const base = { bare: "ws", expected: "cut off", bounds: floodBounds } as const;

export const webSocketFloods: readonly Attack[] = [
  {
    ...base,
    name: "fragments",
    about: "sends one message in fragments of one byte that never end",
    amount: { short: 20, long: 200 },
    run: (target, amount) =>
      floodSocket(target, times(socketFrame("continuation", new Uint8Array(1), false), 8_192), amount, {
        first: socketFrame("binary", none, false),
      }),
  },
  {
    ...base,
    name: "empty fragments",
    about: "sends one message in fragments of no bytes that never end",
    amount: { short: 20, long: 200 },
    run: (target, amount) =>
      floodSocket(target, times(socketFrame("continuation", none, false), 8_192), amount, {
        first: socketFrame("binary", none, false),
      }),
  },
  {
    ...base,
    name: "WebSocket pings",
    about: "sends pings of RFC 6455 and reads the pongs",
    amount: { short: 100, long: 1_000 },
    run: (target, amount) => floodSocket(target, times(socketFrame("ping", new Uint8Array(8)), 4_096), amount),
  },
  {
    ...base,
    name: "WebSocket pings, unread",
    about: "sends pings of RFC 6455 and reads no pong",
    amount: { short: 1_000, long: 10_000 },
    run: (target, amount) =>
      floodSocket(target, times(socketFrame("ping", new Uint8Array(125)), 512), amount, { isReading: false }),
  },
  {
    ...base,
    name: "WebSocket pongs",
    about: "sends pongs of RFC 6455 that nobody asked for",
    amount: { short: 100, long: 1_000 },
    run: (target, amount) => floodSocket(target, times(socketFrame("pong", none), 8_192), amount),
  },
  {
    ...base,
    name: "empty messages",
    about: "sends messages of a link without a packet",
    amount: { short: 100, long: 1_000 },
    run: (target, amount) => floodSocket(target, times(socketFrame("binary", none), 8_192), amount),
  },
  {
    ...base,
    name: "pings of a link",
    about: "sends pings on the link's own channel, 3,000 in a message, and reads the pongs",
    amount: { short: 100, long: 1_000 },
    run: (target, amount) => {
      const ping = packet(0, { content: { case: "ping", value: {} } });
      return floodSocket(target, linkMessage(Array.from({ length: 3_000 }, () => ping)), amount);
    },
  },
  {
    ...base,
    name: "rapid reset on a link",
    about: "opens calls on a link and resets each at once",
    bounds: { ...floodBounds, peakBytes: 32 * mebibyte, turnMs: 150 },
    amount: { short: 20, long: 200 },
    run: async (target, amount) => {
      const each = 1_000;
      const raw = await openSocket(target);
      return raw.flood(target, (number) => (number < amount ? openAndReset(number * each + 1, each) : undefined));
    },
  },
  {
    ...base,
    name: "a message of 16 MiB",
    about: "announces a message of a WebSocket that is larger than the relay takes, and sends it",
    amount: { short: 256, long: 256 },
    run: (target, amount) => {
      const head = socketFrame("binary", new Uint8Array(65_536)).subarray(0, 14);
      head.writeBigUInt64BE(16_777_216n, 2);
      return floodSocket(target, Buffer.alloc(65_536), amount, { first: head });
    },
  },
  {
    ...base,
    name: "compressed messages",
    about: "sends messages that say that they are compressed, which the relay has not agreed to",
    amount: { short: 1, long: 1 },
    run: (target, amount) => floodSocket(target, socketFrame("binary", new Uint8Array(1_000), true, 0x40), amount),
  },
];
