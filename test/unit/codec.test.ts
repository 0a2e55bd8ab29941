import { create } from "@bufbuild/protobuf";
import { BytesValueSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { OfferSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { bytesCodec, type Codec, jsonCodec, protobufCodec, rawCodec, textCodec } from "../../stream/codec.js";
import type { EncodedMessage } from "../../stream/sender.js";
import { rejection, settled, thrown } from "../fakes/outcome.js";
import { eventsOf, joinedStreams, streamAndPeer } from "../fakes/streams.js";
import { errorOf } from "../fakes/violation.js";

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

test("streams are typed by their codec", async () => {
  const [a, b] = joinedStreams({}, offers);
  a.end({ streamId: "typed" });
  b.end();
  for await (const { streamId } of b) expect(streamId satisfies string).toBe("typed");
  await Promise.all([a.closed.catch(() => {}), b.closed]);
});
