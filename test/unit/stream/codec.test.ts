import { runInNewContext } from "node:vm";
import { create } from "@bufbuild/protobuf";
import { BytesValueSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { OfferSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import {
  bytesCodec,
  type Codec,
  encodeMessage,
  jsonCodec,
  protobufCodec,
  rawCodec,
  textCodec,
} from "../../../stream/codec.js";
import type { Frame } from "../../../stream/endpoint/frame.js";
import type { EncodedMessage } from "../../../stream/endpoint/sender.js";
import { rejection, settled, thrown } from "../../fakes/outcome.js";
import { eventsOf, joinedStreams, streamAndPeer } from "../../fakes/streams.js";
import { errorOf } from "../../fakes/violation.js";

const offers = protobufCodec(OfferSchema);

function there<Out, In>(codec: Codec<Out, In>, value: In): Out {
  const { data, text } = codec.encode(value);
  return codec.decode({ data: data.slice(), text });
}

test("strings, bytes and JSON values are what they were", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.uint8Array(), fc.jsonValue(), (text, bytes, json) => {
      expect(there(rawCodec, text)).toBe(text);
      expect(there(rawCodec, bytes)).toEqual(bytes);
      expect(there(textCodec, text)).toBe(text);
      expect(there(bytesCodec, bytes)).toEqual(bytes);
      expect(there(jsonCodec(), json)).toEqual(JSON.parse(JSON.stringify(json)));
    }),
    { seed: 20_120_403 },
  );
});

test("a text that begins with a byte order mark keeps it", () => {
  expect(there(textCodec, "\ufefftext")).toBe("\ufefftext");
});

test("whatever holds bytes can be written, and only the bytes of a view are", () => {
  const { buffer } = Uint8Array.of(1, 2, 3, 4);
  expect(there(bytesCodec, buffer)).toEqual(Uint8Array.of(1, 2, 3, 4));
  expect(there(bytesCodec, new DataView(buffer, 1, 2))).toEqual(Uint8Array.of(2, 3));
  expect(there(rawCodec, new Uint8Array(buffer, 3))).toEqual(Uint8Array.of(4));
});

/** A message that shares its memory with others, in a `Buffer` as Node has it. */
const shared = { data: Buffer.from(new ArrayBuffer(6)).fill(7).subarray(1, 5), text: false };

test.each([
  ["raw", rawCodec],
  ["bytes", bytesCodec],
])("what is read as %s is in memory of its own", (_what, codec) => {
  const read = codec.decode(shared) as Uint8Array;
  expect(read).toEqual(new Uint8Array(4).fill(7));
  expect([read.byteOffset, read.buffer.byteLength]).toEqual([0, 4]);
  const own = { data: new Uint8Array(4), text: false };
  expect(codec.decode(own)).toBe(own.data);
  const nothing = { data: new Uint8Array(), text: false };
  expect((codec.decode(nothing) as Uint8Array).buffer).not.toBe(nothing.data.buffer);
});

test("the bytes in a Protobuf message are in memory that no other message is in", () => {
  const codec = protobufCodec(BytesValueSchema);
  const { data } = codec.encode({ value: new Uint8Array(100) });
  const { value } = codec.decode({ data: Buffer.concat([data, data]).subarray(0, data.byteLength), text: false });
  expect(value.buffer.byteLength).toBe(data.byteLength);
});

test("a Protobuf message is read as what its schema says", () => {
  const init = { streamId: "a", metadata: { room: "7" }, caller: { origin: "https://example.test" } };
  expect(there(offers, init)).toEqual(create(OfferSchema, init));
});

const unwritable: [string, () => unknown][] = [
  ["a number as raw", () => rawCodec.encode(7 as never)],
  ["bytes as text", () => textCodec.encode(Uint8Array.of(1) as never)],
  ["a string as bytes", () => bytesCodec.encode("a" as never)],
  ["undefined as JSON", () => jsonCodec().encode(undefined)],
];

test.each(unwritable)("%s cannot be written", (_what, encode) => {
  expect(thrown(encode).code).toBe(Code.InvalidArgument);
});

const notUtf8: EncodedMessage = { data: Uint8Array.of(0xc3, 0x28), text: true };
const binary: EncodedMessage = { data: Uint8Array.of(0xff, 0xff), text: false };
const text: EncodedMessage = { data: new TextEncoder().encode("{"), text: true };

const unreadable: { what: string; codec: Codec<unknown, never>; message: EncodedMessage; failure: Failure }[] = [
  { what: "text that is no UTF-8, raw", codec: rawCodec, message: notUtf8, failure: Failure.PROTOCOL_VIOLATION },
  { what: "text that is no UTF-8", codec: textCodec, message: notUtf8, failure: Failure.PROTOCOL_VIOLATION },
  { what: "JSON that is no UTF-8", codec: jsonCodec(), message: notUtf8, failure: Failure.PROTOCOL_VIOLATION },
  { what: "bytes for text", codec: textCodec, message: binary, failure: Failure.UNSPECIFIED },
  { what: "text for bytes", codec: bytesCodec, message: text, failure: Failure.UNSPECIFIED },
  { what: "what is no JSON", codec: jsonCodec(), message: text, failure: Failure.UNSPECIFIED },
  { what: "bytes that are no Protobuf", codec: offers, message: binary, failure: Failure.UNSPECIFIED },
  { what: "text for Protobuf", codec: offers, message: text, failure: Failure.UNSPECIFIED },
];

test.each(unreadable)("$what ends the stream on both sides, once", async ({ codec, message, failure }) => {
  const { stream, peer, carry } = streamAndPeer({}, codec);
  const events = eventsOf(stream);
  peer.write(message);
  peer.write(message);
  await carry();
  expect(events).toEqual([["error", Code.InvalidArgument], "close"]);
  expect(await rejection(stream.closed)).toMatchObject({ code: Code.InvalidArgument, failure });
  expect(errorOf(peer)).toMatchObject({ code: Code.InvalidArgument, failure });
});

test("what cannot be read fails the one who pulls", async () => {
  const { stream, peer, carry } = streamAndPeer({}, jsonCodec());
  peer.write(text);
  await carry();
  expect((await rejection(stream.readable.getReader().read())).code).toBe(Code.InvalidArgument);
  await carry();
  expect(errorOf(peer).code).toBe(Code.InvalidArgument);
});

test("what cannot be read is told once, even where the stream had closed before it was looked at", async () => {
  const { stream, peer, carry } = streamAndPeer({}, jsonCodec());
  const events = eventsOf(stream);
  stream.pause();
  stream.end();
  peer.write(text);
  peer.write(text);
  peer.finish();
  await carry();
  await stream.closed;
  stream.resume();
  await settled();
  expect(events).toEqual(["finish", ["error", Code.InvalidArgument], "close"]);
});

test("what cannot be read is told to whoever listens only after the close", async () => {
  const { stream, peer, carry } = streamAndPeer({}, jsonCodec());
  stream.end();
  peer.write(text);
  peer.write(text);
  peer.finish();
  await carry();
  await stream.closed;
  const events = eventsOf(stream);
  await settled();
  expect(events).toEqual([["error", Code.InvalidArgument]]);
});

test("a write that does not fit the codec throws and harms nothing", async () => {
  const [a, b] = joinedStreams({}, jsonCodec<unknown>());
  expect(thrown(() => a.write(undefined)).code).toBe(Code.InvalidArgument);
  a.end({ still: "here" });
  b.end();
  const heard: unknown[] = [];
  for await (const message of b) heard.push(message);
  expect(heard).toEqual([{ still: "here" }]);
});

/** Objects of another realm, as of a frame or of jest's environment. */
const foreign = runInNewContext(
  "const b = new Uint8Array([1, 2, 3, 4]).buffer; [b, new Uint8Array(b, 1, 2), new DataView(b, 3)]",
);

test("bytesCodec: bytes of another realm, shared ones and ones that may be resized are written like all others", () => {
  const [buffer, view, dataView] = foreign;
  expect(buffer).not.toBeInstanceOf(ArrayBuffer);
  for (const codec of [rawCodec, bytesCodec]) {
    expect(there(codec, buffer)).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(there(codec, view)).toEqual(Uint8Array.of(2, 3));
    expect(there(codec, dataView)).toEqual(Uint8Array.of(4));
  }
  const shared = new Uint8Array(new SharedArrayBuffer(2)).fill(7);
  const Resizable = ArrayBuffer as unknown as new (bytes: number, options: { maxByteLength: number }) => ArrayBuffer;
  const resizable = new Uint8Array(new Resizable(2, { maxByteLength: 4 })).fill(7);
  for (const bytes of [shared, resizable, shared.buffer]) {
    const { data } = rawCodec.encode(bytes as Uint8Array);
    // Browsers refuse to send shared and resizable memory.
    expect(data.buffer).not.toBe(bytes instanceof Uint8Array ? bytes.buffer : bytes);
    expect(data).toEqual(Uint8Array.of(7, 7));
  }
  const codec: Codec<never, unknown> = { ...rawCodec, encode: () => ({ data: view, text: false }) } as never;
  expect(encodeMessage(codec, 0).data).toBeInstanceOf(Uint8Array);
});

function transferred(): Uint8Array {
  const bytes = new Uint8Array(5);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  return bytes;
}

const encodes: [string, unknown][] = [
  ["nothing", undefined],
  ["null", null],
  ["a text", "text"],
  ["no data", { text: true }],
  ["data that is an ArrayBuffer", { data: new ArrayBuffer(1), text: false }],
  ["data that is a list", { data: [1], text: false }],
  ["no word on whether it is text", { data: new Uint8Array(1) }],
  ["data that was transferred", { data: transferred(), text: false }],
  ["a promise", Promise.resolve({ data: new Uint8Array(1), text: false })],
  ["a promise that rejects", () => Promise.reject(new Error("nobody's"))],
];

test.each(encodes)(
  "an encode that returns %s is told where it is called, and harms nothing",
  async (_what, encoded) => {
    const returned = () => (typeof encoded === "function" ? encoded() : encoded);
    const codec = { ...rawCodec, encode: (value: string) => (value === "odd" ? returned() : rawCodec.encode(value)) };
    const { stream, peer, carry } = streamAndPeer({}, codec as unknown as Codec<unknown, string>);
    expect(thrown(() => stream.write("odd"))).toMatchObject({ code: Code.InvalidArgument, hop: Hop.CALLER });
    stream.write("still here");
    await carry();
    expect(peer.read()).toMatchObject({ data: new TextEncoder().encode("still here") });
  },
);

test("encodeMessage: an encode that throws is invalid_argument, whatever it throws", () => {
  const cause = new RangeError("too odd");
  const codec = {
    ...rawCodec,
    encode: () => {
      throw cause;
    },
  };
  expect(thrown(() => streamAndPeer({}, codec).stream.write("odd"))).toMatchObject({
    code: Code.InvalidArgument,
    message: "too odd",
    cause,
  });
  expect(thrown(() => encodeMessage(offers, { acceptTimeoutMs: "soon" } as never)).code).toBe(Code.InvalidArgument);
});

test("a decode that returns a promise ends the stream on both sides, as a mistake of the one who reads", async () => {
  const codec = { ...rawCodec, decode: async () => Promise.reject(new Error("nobody's")) };
  const { stream, peer, carry } = streamAndPeer({}, codec as Codec<unknown, string>);
  const events = eventsOf(stream);
  peer.write(text);
  await carry();
  expect(events).toEqual([["error", Code.InvalidArgument], "close"]);
  expect((await rejection(stream.closed)).hop).toBe(Hop.CALLER);
  expect(errorOf(peer).code).toBe(Code.InvalidArgument);
});

test("textCodec: a text with half of a surrogate pair is refused, not changed; JSON carries it", () => {
  for (const half of ["\ud83d", "a\ude00b"]) {
    for (const codec of [rawCodec, textCodec]) expect(thrown(() => codec.encode(half)).code).toBe(Code.InvalidArgument);
    expect(there(jsonCodec(), { [half]: half })).toEqual({ [half]: half });
  }
});

test("bytes that were transferred away are refused where they are written, and the stream goes on", async () => {
  const { stream, peer, carry } = streamAndPeer();
  const { buffer } = transferred();
  for (const gone of [transferred(), buffer, new DataView(new ArrayBuffer(1))]) {
    if (gone instanceof DataView) structuredClone(gone.buffer, { transfer: [gone.buffer] });
    expect(thrown(() => stream.write(gone as Uint8Array))).toMatchObject({
      code: Code.InvalidArgument,
      hop: Hop.CALLER,
    });
  }
  for (const nothing of [new Uint8Array(), "", "still here"]) stream.write(nothing);
  await carry();
  const read = [peer.read(), peer.read(), peer.read()].map((message) => message?.data.byteLength);
  expect(read).toEqual([0, 0, 10]);
});

test.each([
  ["before any of them is sent", 100],
  ["between their parts", 100_000],
])(
  "bytes that are transferred away after they were written, %s, end the stream as a mistake of the caller's own",
  async (_when, size) => {
    const { stream, life, peer } = streamAndPeer();
    const bytes = new Uint8Array(size);
    stream.write("first");
    if (size === 100) life.endpoint.takeFrame();
    stream.write(bytes);
    // The peer takes the one frame that goes without a grant.
    if (size > 100) peer.receive(life.endpoint.takeFrame() as Frame);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    peer.receive(life.endpoint.takeFrame() as Frame);
    const told = { code: Code.InvalidArgument, failure: Failure.UNSPECIFIED };
    expect(await rejection(stream.closed)).toMatchObject({ ...told, hop: Hop.CALLER });
    expect(errorOf(peer)).toMatchObject({ ...told, hop: Hop.PEER });
  },
);

test("streams are typed by their codec", async () => {
  const [a, b] = joinedStreams({}, offers);
  a.end({ streamId: "typed" });
  b.end();
  for await (const { streamId } of b) expect(streamId satisfies string).toBe("typed");
  await Promise.all([a.closed.catch(() => {}), b.closed]);
});
