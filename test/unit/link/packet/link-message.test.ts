import { create, equals, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Failure } from "../../../../gen/streamserver/v1/failure_pb.js";
import { LinkMessageSchema, LinkService, PacketSchema } from "../../../../gen/streamserver/v1/link_pb.js";
import { Parts } from "../../../../leg/parts.js";
import { lengthTag, WireWriter } from "../../../../leg/wire-writer.js";
import {
  decodeLinkMessage,
  encodePackets,
  endOfLink,
  lastPacket,
  linkSocketPath,
} from "../../../../link/packet/link-message.js";
import { type OutgoingPacket, packetMessage } from "../../../../link/packet/outgoing-packet.js";
import { errorOfReset } from "../../../../stream/error/reset.js";
import { maxReasonBytes, StreamError } from "../../../../stream/error/stream-error.js";
import { packet } from "../../../fakes/links.js";
import { thrown } from "../../../fakes/outcome.js";

type Content = NonNullable<MessageInitShape<typeof PacketSchema>["content"]>;

const headers = [
  { name: "content-type", value: "application/connect+proto" },
  { name: "x-long", value: "x".repeat(5_000) },
];
const contents: Content[] = [
  { case: "request", value: { path: "/service/Method", headers } },
  { case: "response", value: { status: 200, headers } },
  { case: "end", value: {} },
  { case: "end", value: { trailers: headers } },
  { case: "reset", value: { code: Code.Aborted, reason: "why", failure: Failure.CHANNEL_INVALID } },
  { case: "credit", value: 0n },
  { case: "credit", value: 2n ** 64n - 1n },
  { case: "ping", value: {} },
  { case: "pong", value: {} },
  { case: undefined },
];

/** As the library has it. */
function decoded(bytes: Uint8Array): MessageInitShape<typeof LinkMessageSchema> {
  const { opened, packets } = decodeLinkMessage(bytes);
  return { ...(opened === undefined ? {} : { opened }), packets: packets.map((one) => packet(one)) };
}

const data = (channel: number, ...sizes: number[]): OutgoingPacket => ({
  channel,
  data: new Parts(sizes.map((size, at) => new Uint8Array(size).fill(at + 1))),
});

const channels = [1, 127, 128, 16_384, 4_294_967_295];
const packets: [string, OutgoingPacket[]][] = [
  ["none", []],
  ...contents.map((content): [string, OutgoingPacket[]] => [
    `one of the kind ${content.case}`,
    [packet({ channel: 300, content })],
  ]),
  ["all kinds", contents.map((content, at) => packet({ channel: at, content }))],
  ...channels.map((channel): [string, OutgoingPacket[]] => [`data of channel ${channel}`, [data(channel, 10)]]),
  ...[0, 1, 126, 127, 128, 4_095, 4_096, 4_097, 16_384, 212_992].map((size): [string, OutgoingPacket[]] => [
    `data of ${size} bytes`,
    [data(2, size)],
  ]),
  ["data in parts, small and large", [data(2, 3, 5_000, 0, 4, 4, 70_000, 1)]],
  ["data without any part", [data(2)]],
  [
    "small and large, mixed with others",
    [data(1, 5_000), packet({ channel: 1, content: contents[0]! }), data(2, 1), data(3, 2), data(1, 9_000), data(1, 1)],
  ],
];

describe("a message of a WebSocket is what the library would make of its packets", () => {
  test.each(packets)("%s", (_, all) => {
    const expected = create(LinkMessageSchema, { packets: all.map(packetMessage) });
    const encoded = encodePackets(all).joined;
    expect(Buffer.compare(encoded, toBinary(LinkMessageSchema, expected))).toBe(0);
    expect(equals(LinkMessageSchema, create(LinkMessageSchema, decoded(encoded)), expected)).toBe(true);
  });
});

test("large data is not copied, and small data is not kept apart", () => {
  const [small, large] = [new Uint8Array(5), new Uint8Array(5_000)];
  const { arrays } = encodePackets([data(1, 1), { channel: 1, data: new Parts([small, large, small]) }, data(1, 1)]);
  expect(arrays).toHaveLength(3);
  expect(arrays[1]).toBe(large);
});

test("what opens a link is decoded", () => {
  const message = create(LinkMessageSchema, { opened: { linkId: "id", maxChannels: 3, heartbeatIntervalMs: 7 } });
  expect(create(LinkMessageSchema, decoded(toBinary(LinkMessageSchema, message)))).toEqual(message);
});

test.each([
  ["a field that ends early", [0x12, 5, 1]],
  ["a tag without a field", [255, 255, 255, 255]],
  ["a number of eleven bytes", [0x12, 12, 0x38, ...new Array(10).fill(0x80), 1]],
  ["data that reaches beyond its packet", [0x12, 5, 0x08, 1, 0x22, 5, 1, 2, 3, 4, 5]],
  ["a group that nobody ends", [0x13]],
  ["a path that is not UTF-8", [0x12, 6, 0x12, 4, 0x0a, 2, 0xc3, 0x28]],
])("%s is no message", (_, bytes) => {
  expect(thrown(() => decodeLinkMessage(new Uint8Array(bytes)))).toMatchObject({
    name: "StreamError",
    failure: Failure.PROTOCOL_VIOLATION,
  });
});

const unknownField = [0x78, 1];

test.each([
  ["nothing", [0x12, 0]],
  ["a channel alone", [0x12, 2, 0x08, 0]],
])("a packet may have %s in it, at the end of its message too", (_, bytes) => {
  expect(decodeLinkMessage(new Uint8Array(bytes)).packets).toMatchObject([
    { channel: 0, content: { case: undefined } },
  ]);
});

test("what nobody knows of a packet is not kept", () => {
  const { packets } = decodeLinkMessage(new Uint8Array([0x12, 6, 0x12, 4, ...unknownField, ...unknownField]));
  expect(packets[0]?.content).toMatchObject({ case: "request" });
  expect(packets[0]?.content.value).not.toHaveProperty("$unknown");
});

test("a packet that is no data is refused if it is larger than a head can be, and data is not", () => {
  const path = (size: number) =>
    packet({ channel: 1, content: { case: "request", value: { path: "x".repeat(size) } } });
  expect(decodeLinkMessage(encodePackets([path(65_000), data(1, 212_992)]).joined).packets).toHaveLength(2);
  expect(thrown(() => decodeLinkMessage(encodePackets([path(65_536)]).joined)).failure).toBe(Failure.FRAME_TOO_LARGE);
});

test("large data is data, with whatever else a packet has", () => {
  const known = toBinary(
    PacketSchema,
    packet({ channel: 1, content: { case: "data", value: new Uint8Array(70_000) } }),
  );
  const bytes = Buffer.concat([known, new Uint8Array(unknownField)]);
  const writer = new WireWriter(4 + bytes.byteLength).varint(lengthTag(2)).varint(bytes.byteLength).raw(bytes);
  expect(decodeLinkMessage(writer.bytes).packets[0]).toMatchObject({ channel: 1, content: { case: "data" } });
});

test.each([
  ["that open a link", [0x0a, 0]],
  ["that nobody knows", unknownField],
])("fields %s count as packets do", (_, field) => {
  const bytes = new Uint8Array(Array(3).fill(field).flat());
  expect(decodeLinkMessage(bytes, 3).packets).toEqual([]);
  expect(thrown(() => decodeLinkMessage(bytes, 2)).failure).toBe(Failure.FRAME_TOO_LARGE);
});

test("a message with more packets than are taken is refused", () => {
  const bytes = encodePackets([data(1, 1), data(1, 0), packet({ channel: 1 })]).joined;
  expect(decodeLinkMessage(bytes, 3).packets).toHaveLength(3);
  expect(thrown(() => decodeLinkMessage(bytes, 2)).failure).toBe(Failure.FRAME_TOO_LARGE);
});

test("the last packet of a link says why it ends, and is understood", () => {
  const why = new StreamError("é".repeat(maxReasonBytes), { failure: Failure.DRAINING });
  const last = lastPacket(why);
  const heard = endOfLink({ packets: [packet({ channel: 1 }), last] });
  expect(heard).toMatchObject({ code: Code.Unavailable, failure: Failure.DRAINING });
  expect(heard?.message).toBe("é".repeat(maxReasonBytes / 2));
});

test("the reset of a channel, or none, does not end a link", () => {
  const ofChannel = packet({ channel: 1, content: { case: "reset", value: { code: Code.Aborted } } });
  const ping = packet({ content: { case: "ping", value: {} } });
  expect(endOfLink({ packets: [ofChannel, ping] })).toBeUndefined();
  expect(endOfLink({ packets: [] })).toBeUndefined();
});

test("a code that is none reads as unknown", () => {
  const { content } = packet({ content: { case: "reset", value: { code: 99, failure: Failure.LIMIT_REACHED } } });
  expect(errorOfReset(content.value as never)).toMatchObject({ code: Code.Unknown, failure: Failure.LIMIT_REACHED });
});

test("the path is that of the service", () => {
  expect(linkSocketPath).toBe(`/${LinkService.typeName}/WebSocket`);
});
