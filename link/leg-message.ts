import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { type Frame, FrameSchema, type Message, MessageSchema } from "../gen/streamserver/v1/frame_pb.js";
import { type ConnectRequest, ConnectRequestSchema } from "../gen/streamserver/v1/relay_pb.js";
import { messageOverheadBytes } from "../stream/sender.js";
import { envelope, envelopeHeadBytes, writeEnvelopeHead } from "./envelope.js";
import { isSmall, Parts } from "./parts.js";
import { lengthTag, varintBytes, varintTag, WireWriter } from "./wire-writer.js";

/** The same in all four messages of a leg. */
const frameField = ConnectRequestSchema.field.frame.number;
const { sequence, ack, credit, messages, fin } = FrameSchema.field;
const { data, text, more } = MessageSchema.field;
const numberTags = [sequence, ack, credit].map((field) => varintTag(field.number));

/** A frame in the envelope in which it travels on either leg of a stream. Large data is not copied. */
export function frameEnvelope(frame: Frame): Parts {
  const numbers = [Number(frame.sequence), Number(frame.ack), Number(frame.credit)];
  // An endpoint may grant all that 64 bits hold.
  if (frame.reset !== undefined || numbers.some((number) => number > Number.MAX_SAFE_INTEGER)) {
    return new Parts([envelope(0, toBinary(ConnectRequestSchema, requestOf(frame)))]);
  }
  let frameBytes = frame.fin ? 2 : 0;
  for (const number of numbers) if (number > 0) frameBytes += 1 + varintBytes(number);
  const sizes = frame.messages.map(bytesOf);
  for (const bytes of sizes) frameBytes += 1 + varintBytes(bytes) + bytes;
  const dataBytes = 1 + varintBytes(frameBytes) + frameBytes;
  const largeBytes = frame.messages.reduce((sum, { data }) => sum + (isSmall(data) ? 0 : data.byteLength), 0);
  const writer = new WireWriter(envelopeHeadBytes + dataBytes - largeBytes);
  const parts: Uint8Array[] = [];
  writeEnvelopeHead(writer.bytes, 0, dataBytes);
  writer.skip(envelopeHeadBytes).varint(lengthTag(frameField)).varint(frameBytes);
  numbers.forEach((number, at) => {
    if (number > 0) writer.varint(numberTags[at] ?? 0).varint(number);
  });
  if (frame.fin) writer.varint(varintTag(fin.number)).varint(1);
  frame.messages.forEach((message, at) => {
    writer.varint(lengthTag(messages.number)).varint(sizes[at] ?? 0);
    // Before the data, so that nothing has to follow it.
    if (message.text) writer.varint(varintTag(text.number)).varint(1);
    if (message.more) writer.varint(varintTag(more.number)).varint(1);
    writer.varint(lengthTag(data.number)).varint(message.data.byteLength);
    if (isSmall(message.data)) writer.raw(message.data);
    else parts.push(writer.cut(), message.data);
  });
  const rest = writer.cut();
  if (rest.byteLength > 0) parts.push(rest);
  return new Parts(parts);
}

function requestOf(frame: Frame): ConnectRequest {
  return create(ConnectRequestSchema, { message: { case: "frame", value: frame } });
}

function bytesOf(message: Message): number {
  const { byteLength } = message.data;
  return 1 + varintBytes(byteLength) + byteLength + (message.text ? 2 : 0) + (message.more ? 2 : 0);
}

/** What a relay needs to know of a frame. */
export interface FrameOutline {
  costBytes: number;
  fin: boolean;
}

/**
 * Looks over a leg's message without decoding it. Undefined if it is not a frame and nothing else, or one with a reset, or with
 * anything that this code does not know: then it takes a decoder.
 */
export function outlineOf(legMessage: Uint8Array): FrameOutline | undefined {
  try {
    const reader = new BinaryReader(legMessage);
    const [field, type] = reader.tag();
    if (field !== frameField || type !== WireType.LengthDelimited) return undefined;
    const frameBytes = reader.uint32();
    if (reader.pos + frameBytes !== reader.len) return undefined;
    return outlineOfFrame(reader);
  } catch {
    return undefined;
  }
}

function outlineOfFrame(reader: BinaryReader): FrameOutline | undefined {
  const outline: FrameOutline = { costBytes: 0, fin: false };
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === messages.number && type === WireType.LengthDelimited) {
      const dataBytes = dataBytesOf(reader, reader.uint32());
      if (dataBytes === undefined) return undefined;
      outline.costBytes += dataBytes + messageOverheadBytes;
    } else if (type !== WireType.Varint) {
      return undefined;
    } else if (field === fin.number) {
      outline.fin = reader.bool();
    } else if (field === sequence.number || field === ack.number || field === credit.number) {
      skipNumber(reader);
    } else {
      return undefined;
    }
  }
  return outline;
}

/** `BinaryReader.skip` takes numbers of any length; a decoder, none of more than ten bytes. */
function skipNumber(reader: BinaryReader): void {
  reader.uint32();
}

/** The length of a message's data; the reader is behind the message then. */
function dataBytesOf(reader: BinaryReader, messageBytes: number): number | undefined {
  const end = reader.pos + messageBytes;
  let dataBytes = 0;
  while (reader.pos < end) {
    const [field, type] = reader.tag();
    if (field === data.number && type === WireType.LengthDelimited) {
      dataBytes = reader.uint32();
      reader.pos += dataBytes;
    } else if ((field === text.number || field === more.number) && type === WireType.Varint) {
      skipNumber(reader);
    } else {
      return undefined;
    }
  }
  return reader.pos === end && end <= reader.len ? dataBytes : undefined;
}
