import { expect, test } from "vitest";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { dataOf, envelope, envelopeHeadBytes } from "../../../leg/envelope.js";
import { EnvelopeReader } from "../../../leg/envelope-reader.js";
import type { Parts } from "../../../leg/parts.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { rejection } from "../../fakes/outcome.js";

const maxDataBytes = 300;

const written = [
  { flags: 0, data: new Uint8Array(0) },
  { flags: 2, data: new Uint8Array([7]) },
  { flags: 0, data: new Uint8Array(300).fill(5) },
  { flags: 255, data: new Uint8Array([1, 2, 3]) },
  { flags: 1, data: new Uint8Array(0) },
];
const wire = new Uint8Array(Buffer.concat(written.map(({ flags, data }) => envelope(flags, data))));

const chunks = (...all: Uint8Array[]) => all;

const cut = (bytes: Uint8Array, ...at: number[]) =>
  chunks(...[...at, bytes.byteLength].map((to, index) => bytes.subarray(at[index - 1] ?? 0, to)));

interface Received {
  flags: number;
  parts: Parts;
}

/** The error of a body that ends within an envelope. */
const unfinished = new StreamError("unfinished");

async function read(body: Uint8Array[], into: Received[] = []): Promise<Received[]> {
  const reader = new EnvelopeReader(maxDataBytes, (flags, parts) => into.push({ flags, parts }) > 0);
  for (const chunk of body) expect(reader.push(chunk)).toBe(true);
  if (reader.isWithinEnvelope) throw unfinished;
  return into;
}

const contents = (envelopes: Received[]) =>
  envelopes.map(({ flags, parts }) => ({ flags, data: new Uint8Array(dataOf(parts)) }));

test("an envelope is its flags, its length and its data", () => {
  expect([...envelope(2, new Uint8Array([9, 8]))]).toEqual([2, 0, 0, 0, 2, 9, 8]);
  expect([...envelope(0, new Uint8Array(0x010203)).subarray(0, envelopeHeadBytes)]).toEqual([0, 0, 1, 2, 3]);
});

test("envelopes are the same wherever the body is cut once", async () => {
  for (let at = 0; at <= wire.byteLength; at += 1) {
    expect(contents(await read(cut(wire, at))), `cut at ${at}`).toEqual(written);
  }
});

test("envelopes are the same wherever the body is cut twice", async () => {
  const small = wire.subarray(0, 24);
  const [first, second] = written;
  const head = wire.subarray(0, 2 * envelopeHeadBytes + 1);
  for (let from = 0; from <= head.byteLength; from += 1) {
    for (let to = from; to <= head.byteLength; to += 1) {
      expect(contents(await read(cut(head, from, to))), `cut at ${from} and ${to}`).toEqual([first, second]);
    }
  }
  expect(await rejection(read(chunks(small)))).toBe(unfinished);
});

test("envelopes that come byte by byte", async () => {
  expect(contents(await read(chunks(...[...wire].map((byte) => new Uint8Array([byte])))))).toEqual(written);
});

test("EnvelopeReader: an envelope consists of views of its chunks, head and all", async () => {
  for (const { parts } of await read(chunks(wire))) {
    expect(parts.arrays.map(({ buffer }) => buffer)).toEqual([wire.buffer]);
  }
  const sent = envelope(3, new Uint8Array([4, 5]));
  const [only] = await read(chunks(sent));
  expect(only?.parts.arrays).toEqual([sent]);
  const [cutOnce] = await read(cut(sent, 6));
  expect(cutOnce?.parts.arrays.map((array) => [...array])).toEqual([[3, 0, 0, 0, 2, 4], [5]]);
});

test("an envelope that comes byte by byte keeps few arrays, and none of the chunks of the bytes", () => {
  const sent = envelope(
    0,
    Uint8Array.from({ length: maxDataBytes }, (_, at) => at),
  );
  const received: Parts[] = [];
  const reader = new EnvelopeReader(maxDataBytes, (_flags, parts) => received.push(parts) > 0);
  for (const [at, byte] of sent.entries()) {
    // The last byte is passed on with the view that it came in.
    const chunk = new Uint8Array(at < sent.byteLength - 1 ? 65_536 : 1).fill(byte);
    reader.push(chunk.subarray(0, 1));
  }
  expect(received.map(({ joined }) => joined)).toEqual([sent]);
  const arrays = received.flatMap((parts) => parts.arrays);
  expect(arrays.length).toBeLessThanOrEqual(Math.log2(sent.byteLength) + 2);
  expect(arrays.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)).toBe(sent.byteLength);
});

test.each([1, 4_097, 20_000])(
  "a piece of %d bytes keeps no much larger chunk while its envelope waits for the rest",
  (bytes) => {
    const sent = envelope(0, new Uint8Array(40_000));
    const received: Parts[] = [];
    const reader = new EnvelopeReader(40_000, (_flags, parts) => received.push(parts) > 0);
    const chunk = new Uint8Array(425_984);
    chunk.set(sent.subarray(0, bytes));
    reader.push(chunk.subarray(0, bytes));
    reader.push(sent.slice(bytes));
    expect(received[0]?.arrays.map(({ buffer }) => buffer.byteLength)).toEqual([bytes, sent.byteLength - bytes]);
  },
);

test.each([1, 7, wire.byteLength])("EnvelopeReader stops after each envelope, in chunks of %d bytes", (chunkBytes) => {
  const received: Received[] = [];
  const reader = new EnvelopeReader(maxDataBytes, (flags, parts) => received.push({ flags, parts }) === 0);
  for (let from = 0; from < wire.byteLength; from += chunkBytes) {
    const before = received.length;
    let goesOn = reader.push(wire.subarray(from, from + chunkBytes));
    for (let stops = 1; !goesOn; stops += 1) {
      expect(received).toHaveLength(before + stops);
      goesOn = reader.resume();
    }
  }
  expect([reader.isStopped, reader.isWithinEnvelope]).toEqual([false, false]);
  expect(contents(received)).toEqual(written);
});

test("EnvelopeReader.isStopped is true while the rest of a chunk waits", () => {
  const reader = new EnvelopeReader(maxDataBytes, () => false);
  reader.push(wire);
  expect(reader.isStopped).toBe(true);
});

test("an envelope over the limit is refused by its head, after those before it", async () => {
  const tooLarge = envelope(0, new Uint8Array(maxDataBytes + 1)).subarray(0, envelopeHeadBytes);
  for (let at = 0; at <= envelopeHeadBytes; at += 1) {
    const before: Received[] = [];
    const body = cut(new Uint8Array(Buffer.concat([wire, tooLarge])), wire.byteLength + at);
    expect(await rejection(read(body, before))).toMatchObject({ failure: Failure.FRAME_TOO_LARGE });
    expect(contents(before)).toEqual(written);
  }
  const largest = new Uint8Array([0, 255, 255, 255, 255]);
  expect(await rejection(read(chunks(largest)))).toMatchObject({ failure: Failure.FRAME_TOO_LARGE });
});

test("a body that ends within an envelope is a violation, and what came before it is read", async () => {
  let boundaryBytes = 0;
  const boundaries = written.map(({ data }) => (boundaryBytes += envelopeHeadBytes + data.byteLength));
  for (let length = 1; length < wire.byteLength; length += 1) {
    const before: Received[] = [];
    const whole = boundaries.filter((boundary) => boundary <= length).length;
    const reading = read(chunks(wire.subarray(0, length)), before);
    if (boundaries.includes(length)) await reading;
    else expect(await rejection(reading)).toBe(unfinished);
    expect(before, `${length} bytes`).toHaveLength(whole);
  }
});

test("an empty body has none", async () => {
  expect(await read(chunks())).toEqual([]);
  expect(await read(chunks(new Uint8Array(0), new Uint8Array(0)))).toEqual([]);
});
