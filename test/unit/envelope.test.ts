import { expect, test } from "vitest";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { type Envelope, EnvelopeSplitter, envelope, envelopeHeadBytes } from "../../link/envelope.js";
import { rejection } from "../fakes/outcome.js";

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

async function read(body: Uint8Array[], into: Envelope[] = []): Promise<Envelope[]> {
  const splitter = new EnvelopeSplitter(maxDataBytes);
  for (const chunk of body) for (const next of splitter.split(chunk)) into.push(next);
  splitter.end();
  return into;
}

const contents = (envelopes: Envelope[]) => envelopes.map(({ flags, data }) => ({ flags, data: new Uint8Array(data) }));

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
  expect(await rejection(read(chunks(small)))).toMatchObject({ failure: Failure.PROTOCOL_VIOLATION });
});

test("envelopes that come byte by byte", async () => {
  expect(contents(await read(chunks(...[...wire].map((byte) => new Uint8Array([byte])))))).toEqual(written);
});

test("an envelope that came whole is a view of its chunk, head and all", async () => {
  for (const { bytes } of await read(chunks(wire))) expect(bytes.buffer).toBe(wire.buffer);
  const [only] = await read(chunks(envelope(3, new Uint8Array([4]))));
  expect([...(only?.bytes ?? [])]).toEqual([3, 0, 0, 0, 1, 4]);
});

test("an envelope over the limit is refused by its head, after those before it", async () => {
  const tooLarge = envelope(0, new Uint8Array(maxDataBytes + 1)).subarray(0, envelopeHeadBytes);
  for (let at = 0; at <= envelopeHeadBytes; at += 1) {
    const before: Envelope[] = [];
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
    const before: Envelope[] = [];
    const whole = boundaries.filter((boundary) => boundary <= length).length;
    const reading = read(chunks(wire.subarray(0, length)), before);
    if (boundaries.includes(length)) await reading;
    else expect(await rejection(reading)).toMatchObject({ failure: Failure.PROTOCOL_VIOLATION });
    expect(before, `${length} bytes`).toHaveLength(whole);
  }
});

test("an empty body has none", async () => {
  expect(await read(chunks())).toEqual([]);
  expect(await read(chunks(new Uint8Array(0), new Uint8Array(0)))).toEqual([]);
});
