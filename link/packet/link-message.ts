import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import {
  LinkMessageSchema,
  type LinkOpened,
  LinkOpenedSchema,
  LinkService,
  type Packet,
  PacketSchema,
} from "../../gen/streamserver/v1/link_pb.js";
import { isSmall, Parts } from "../../leg/parts.js";
import { WireReader } from "../../leg/wire-reader.js";
import { lengthTag, varintBytes, varintTag, WireWriter } from "../../leg/wire-writer.js";
import { errorOfReset, resetOf } from "../../stream/error/reset.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { OutgoingPacket } from "./outgoing-packet.js";

/**
 * The subprotocol that a WebSocket must name: a page that speaks something else is no client, even if its origin is let
 * in.
 */
export const linkProtocol = "streamserver.v1";
/** The service's path with `WebSocket` for a method. */
export const linkSocketPath = `/${LinkService.typeName}/WebSocket`;
export const linkSendPath = `/${LinkService.typeName}/${LinkService.method.send.name}`;

/** The largest packet without data: a head fits in, however it is encoded. */
export const maxOtherPacketBytes = 65_536;

const { opened, packets } = LinkMessageSchema.field;
const packetsTag = lengthTag(packets.number);
const channelTag = varintTag(PacketSchema.field.channel.number);
const dataTag = lengthTag(PacketSchema.field.data.number);

/** A message of a WebSocket link. Large data is not copied. */
export function encodePackets(packets: readonly OutgoingPacket[]): Parts {
  const encoded: EncodedPacket[] = [];
  let copiedBytes = 0;
  for (const packet of packets) {
    const next = "data" in packet ? packet : toBinary(PacketSchema, packet);
    const bytes = packetBytes(next);
    copiedBytes += 1 + varintBytes(bytes) + bytes - largeBytes(next);
    encoded.push(next);
  }
  const writer = new WireWriter(copiedBytes);
  const parts: Uint8Array[] = [];
  for (const packet of encoded) {
    writer.varint(packetsTag).varint(packetBytes(packet));
    if (!isData(packet)) {
      writer.raw(packet);
      continue;
    }
    const { channel, data } = packet;
    writer.varint(channelTag).varint(channel).varint(dataTag).varint(data.byteLength);
    for (const array of data.arrays) {
      if (isSmall(array)) writer.raw(array);
      else parts.push(writer.cut(), array);
    }
  }
  const rest = writer.cut();
  if (rest.byteLength > 0) parts.push(rest);
  return new Parts(parts);
}

type EncodedPacket = Uint8Array | Extract<OutgoingPacket, { data: Parts }>;

/** Not by its class: the array may be of another realm. */
function isData(packet: EncodedPacket): packet is Exclude<EncodedPacket, Uint8Array> {
  return "data" in packet;
}

function packetBytes(packet: EncodedPacket): number {
  if (!isData(packet)) return packet.byteLength;
  const { channel, data } = packet;
  return 1 + varintBytes(channel) + 1 + varintBytes(data.byteLength) + data.byteLength;
}

/** The bytes of a packet that are not copied. */
function largeBytes(packet: EncodedPacket): number {
  if (!isData(packet)) return 0;
  let bytes = 0;
  for (const array of packet.data.arrays) if (!isSmall(array)) bytes += array.byteLength;
  return bytes;
}

/** The fields of a packet that a link reads. */
export type IncomingPacket = Pick<Packet, "channel" | "content">;

export interface IncomingMessage {
  opened: LinkOpened | undefined;
  packets: IncomingPacket[];
}

/**
 * The inverse of {@link encodePackets}. Throws FAILURE_PROTOCOL_VIOLATION for bytes that are no message,
 * FAILURE_FRAME_TOO_LARGE for a large packet without data, and for more fields than `maxPackets`, of whatever kind.
 */
export function decodeLinkMessage(bytes: Uint8Array, maxPackets = Number.POSITIVE_INFINITY): IncomingMessage {
  const dataPackets = readDataPackets(bytes, maxPackets);
  if (dataPackets !== undefined) return { opened: undefined, packets: dataPackets };
  const message: IncomingMessage = { opened: undefined, packets: [] };
  try {
    const reader = new BinaryReader(bytes);
    for (let fields = 0; reader.pos < reader.len; fields += 1) {
      if (fields === maxPackets) throw tooManyPacketsError(maxPackets);
      const [field, type] = reader.tag();
      if (field === packets.number && type === WireType.LengthDelimited) {
        message.packets.push(decodePacket(reader.bytes()));
      } else if (field === opened.number && type === WireType.LengthDelimited) {
        message.opened = fromBinary(LinkOpenedSchema, reader.bytes());
      } else {
        reader.skip(type, field);
      }
    }
  } catch (cause) {
    if (cause instanceof StreamError) throw cause;
    throw new StreamError("bytes that are no LinkMessage", { failure: Failure.PROTOCOL_VIOLATION, cause });
  }
  return message;
}

/**
 * Decodes a packet without its unknown fields, because a request is kept as long as its channel, and each unknown field
 * takes a hundred bytes.
 */
function decodePacket(bytes: Uint8Array): Packet {
  const packet = fromBinary(PacketSchema, bytes, { readUnknownFields: false });
  if (bytes.byteLength <= maxOtherPacketBytes || packet.content.case === "data") return packet;
  const message = `a packet of ${bytes.byteLength} bytes that is not data`;
  throw new StreamError(message, { failure: Failure.FRAME_TOO_LARGE });
}

/** The error of a batch with more packets than it may have. */
export function tooManyPacketsError(maxPackets: number): StreamError {
  return new StreamError(`more than ${maxPackets} packets at once`, { failure: Failure.FRAME_TOO_LARGE });
}

/**
 * Reads a message of nothing but data, as nearly all are and as {@link encodePackets} writes them. The data is not
 * copied. Returns undefined for any other message, which takes a decoder, and for one of more than `maxPackets`.
 */
function readDataPackets(bytes: Uint8Array, maxPackets: number): IncomingPacket[] | undefined {
  const packets: IncomingPacket[] = [];
  const reader = new WireReader({ arrays: [bytes], byteLength: bytes.byteLength });
  try {
    while (reader.leftBytes > 0) {
      if (packets.length === maxPackets || reader.uint32() !== packetsTag) return undefined;
      const end = reader.uint32() + reader.at;
      if (reader.uint32() !== channelTag) return undefined;
      const channel = reader.uint32();
      if (reader.uint32() !== dataTag) return undefined;
      const value = reader.take(reader.uint32());
      if (reader.at !== end) return undefined;
      packets.push({ channel, content: { case: "data", value } });
    }
  } catch {
    return undefined;
  }
  return packets;
}

/**
 * A relay waits so long for the goodbye of a page whose `Receive` has ended, because the goodbye comes in a `Send`.
 * Without one, the link was cut.
 */
export const goodbyeTimeoutMs = 1_000;

/** The last packet on a link: why it ends. */
export function lastPacket(error: StreamError): Packet {
  return create(PacketSchema, { content: { case: "reset", value: resetOf(error) } });
}

/** The error in a {@link lastPacket}; undefined if the message has none. */
export function endOfLink({ packets }: Pick<IncomingMessage, "packets">): StreamError | undefined {
  for (const { channel, content } of packets) {
    if (channel === 0 && content.case === "reset") return errorOfReset(content.value);
  }
  return undefined;
}
