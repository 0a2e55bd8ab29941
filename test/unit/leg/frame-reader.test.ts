import { create, equals, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrameSchema, type MessageSchema } from "../../../gen/streamserver/v1/frame_pb.js";
import {
  AcceptRequestSchema,
  AcceptResponseSchema,
  ConnectRequestSchema,
  ConnectResponseSchema,
} from "../../../gen/streamserver/v1/relay_pb.js";
import { dataOf, envelope } from "../../../leg/envelope.js";
import { frameEnvelope } from "../../../leg/frame-envelope.js";
import { readFrame } from "../../../leg/frame-reader.js";
import { Parts } from "../../../leg/parts.js";
import { frameToWire } from "../../../leg/wire-frame.js";
import { frame, plainFrame } from "../../fakes/frames.js";

type MessageInit = MessageInitShape<typeof MessageSchema>;

const legSchemas = [ConnectRequestSchema, ConnectResponseSchema, AcceptRequestSchema, AcceptResponseSchema];

/** The largest of them is the largest number below 2^64. */
const uint64 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 2n ** 11n }),
  fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
);
const dataBytes = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom(4_095, 4_096, 4_097, 16_384, 70_000));
const message = fc.record({
  data: dataBytes.map((bytes) => new Uint8Array(bytes).fill(bytes)),
  text: fc.boolean(),
  more: fc.boolean(),
});
const frameInit = fc.record({
  sequence: uint64,
  ack: uint64,
  credit: uint64,
  fin: fc.boolean(),
  messages: fc.array(message, { maxLength: 6 }),
  reset: fc.option(fc.record({ code: fc.integer({ min: 0, max: 99 }), reason: fc.string() }), { nil: undefined }),
});

test("a frame in its envelope is the same frame on either leg, both ways, and its fields are there", () => {
  fc.assert(
    fc.property(frameInit, (init) => {
      const sent = frame(init as MessageInitShape<typeof FrameSchema>);
      const sentEnvelope = frameEnvelope(sent);
      const data = dataOf(sentEnvelope);
      expect(sentEnvelope.joined).toEqual(envelope(0, data));
      // Memory that is used again has another envelope in it.
      const { arrays } = frameEnvelope(sent, (byteLength) => new Uint8Array(byteLength).fill(255));
      expect(arrays).toEqual([sentEnvelope.joined]);
      for (const schema of legSchemas) {
        const { message } = fromBinary(schema, data);
        expect(message.case === "frame" && equals(FrameSchema, message.value, frameToWire(sent))).toBe(true);
      }
      const { sequence, ack, credit, reset } = init;
      const isPlain = reset === undefined && [sequence, ack, credit].every((number) => number < 2n ** 53n);
      expect(readFrame(sentEnvelope)).toEqual(isPlain ? plainFrame(sent) : undefined);
    }),
    { seed: 20_120_405, numRuns: 500 },
  );
});

test("an empty frame", () => {
  const sent = frameEnvelope(frame({}));
  expect(fromBinary(ConnectRequestSchema, dataOf(sent)).message).toEqual({
    case: "frame",
    value: frameToWire(frame({})),
  });
  expect(readFrame(sent)).toEqual(plainFrame(frame({})));
});

test.each([2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 2n ** 11n])("a credit of %s is that", (credit) => {
  const data = dataOf(frameEnvelope(frame({ sequence: 1n, credit })));
  expect(fromBinary(ConnectRequestSchema, data).message.value).toMatchObject({ sequence: 1n, credit });
});

test("large data is not copied, and small data is not kept apart", () => {
  const large: MessageInit = { data: new Uint8Array(5_000) };
  const small: MessageInit = { data: new Uint8Array(10) };
  const sent = frame({ sequence: 1n, messages: [small, small, large, small, large] });
  const { arrays } = frameEnvelope(sent);
  expect(arrays).toHaveLength(4);
  expect([arrays[1], arrays[3]]).toEqual([sent.messages[2]?.data, sent.messages[4]?.data]);
  expect(arrays[1]).toBe(sent.messages[2]?.data);
});

test("frameEnvelope copies all data into the memory that it is given", () => {
  const sent = frame({ sequence: 1n, messages: [{ data: new Uint8Array(5_000) }, { data: new Uint8Array(10) }] });
  const memory = new Uint8Array(frameEnvelope(sent).byteLength);
  expect(frameEnvelope(sent, () => memory).arrays[0]).toBe(memory);
  expect(memory).toEqual(frameEnvelope(sent).joined);
});

test("readFrame: the data of a message is a view of the chunk that it came in, and a copy if it came in several", () => {
  const sent = frameEnvelope(frame({ sequence: 1n, messages: [{ data: new Uint8Array([7, 8, 9]) }] })).joined;
  expect(readFrame(new Parts([sent]))?.messages[0]?.data.buffer).toBe(sent.buffer);
  const inTwo = new Parts([sent.subarray(0, -1), sent.subarray(-1)]);
  const data = readFrame(inTwo)?.messages[0]?.data;
  expect(data).toEqual(new Uint8Array([7, 8, 9]));
  expect(data?.buffer.byteLength).toBe(3);
});

describe("without fields, for a decoder to see to", () => {
  const bytesOfFrame = (...frameBytes: number[]) => new Uint8Array([0x12, frameBytes.length, ...frameBytes]);

  test("the tag that is written here by hand is that of a frame", () => {
    const bytes = toBinary(
      ConnectRequestSchema,
      create(ConnectRequestSchema, { message: { case: "frame", value: {} } }),
    );
    expect([...bytes]).toEqual([...bytesOfFrame()]);
  });

  test.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array()],
    [
      "an open",
      toBinary(ConnectRequestSchema, create(ConnectRequestSchema, { message: { case: "open", value: { name: "n" } } })),
    ],
    ["two frames", new Uint8Array([...bytesOfFrame(), ...bytesOfFrame()])],
    ["something after the frame", new Uint8Array([...bytesOfFrame(), 0x78, 1])],
    ["a frame that ends early", new Uint8Array([0x12, 3, 0x08, 1])],
    ["an unknown field", bytesOfFrame(0x78, 1)],
    ["an unknown field of a message", bytesOfFrame(0x22, 2, 0x78, 1)],
    ["a known field of another wire type", bytesOfFrame(0x0d, 1, 0, 0, 0)],
    ["a message that reaches beyond the frame", bytesOfFrame(0x22, 9, 0x0a, 7)],
    ["data that reaches beyond its message", bytesOfFrame(0x22, 2, 0x0a, 4, 0x28, 1, 0x28, 1)],
    ["a field without a number", bytesOfFrame(0x00, 1)],
    ["a number that has no end", bytesOfFrame(0x08, 0x80)],
    ["a number of eleven bytes", bytesOfFrame(0x08, ...new Array(10).fill(0x80), 1)],
    ["a number of 2^53", bytesOfFrame(0x08, ...new Array(7).fill(0x80), 0x10)],
    ["a flag that is neither", bytesOfFrame(0x28, 2)],
    ["a flag of eleven bytes", bytesOfFrame(0x22, 12, 0x10, ...new Array(10).fill(0x80), 1)],
  ])("%s", (_, bytes) => {
    expect(readFrame(new Parts([envelope(0, bytes)]))).toBeUndefined();
  });
});
