import { create, toBinary } from "@bufbuild/protobuf";
import { type Frame, FrameSchema, type Message, MessageSchema } from "../gen/streamserver/v1/frame_pb.js";
import { type ConnectRequest, ConnectRequestSchema } from "../gen/streamserver/v1/relay_pb.js";
import { envelope, envelopeHeadBytes, writeEnvelopeHead } from "./envelope.js";
import { isSmall, Parts } from "./parts.js";
import { WireReader } from "./wire-reader.js";
import { lengthTag, varintBytes, varintTag, WireWriter } from "./wire-writer.js";

/** The same in all four messages of a leg. */
const frameTag = lengthTag(ConnectRequestSchema.field.frame.number);
const { sequence, ack, credit, messages, fin } = FrameSchema.field;
const { data, text, more } = MessageSchema.field;
const sequenceTag = varintTag(sequence.number);
const ackTag = varintTag(ack.number);
const creditTag = varintTag(credit.number);
const messagesTag = lengthTag(messages.number);
const finTag = varintTag(fin.number);
const dataTag = lengthTag(data.number);
const textTag = varintTag(text.number);
const moreTag = varintTag(more.number);
const numberTags = [sequenceTag, ackTag, creditTag];
const noData: Uint8Array = new Uint8Array();

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
  writer.skip(envelopeHeadBytes).varint(frameTag).varint(frameBytes);
  numbers.forEach((number, at) => {
    if (number > 0) writer.varint(numberTags[at] ?? 0).varint(number);
  });
  if (frame.fin) writer.varint(finTag).varint(1);
  frame.messages.forEach((message, at) => {
    writer.varint(messagesTag).varint(sizes[at] ?? 0);
    // Before the data, so that nothing has to follow it.
    if (message.text) writer.varint(textTag).varint(1);
    if (message.more) writer.varint(moreTag).varint(1);
    writer.varint(dataTag).varint(message.data.byteLength);
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

/** A frame without a reset, as it is on the wire. */
export interface FrameFields {
  sequence: number;
  ack: number;
  credit: number;
  messages: Pick<Message, "data" | "text" | "more">[];
  fin: boolean;
}

/**
 * What is in the frame that a leg's message is, its data as views. Undefined if it is not a frame and nothing else, or one with a
 * reset, or with anything that this code does not know: then it takes a decoder.
 */
export function frameFields(legMessage: Uint8Array): FrameFields | undefined {
  try {
    const reader = new WireReader(legMessage);
    if (reader.varint() !== frameTag || reader.varint() !== reader.leftBytes) return undefined;
    return readFrame(reader);
  } catch {
    return undefined;
  }
}

function readFrame(reader: WireReader): FrameFields {
  const fields: FrameFields = { sequence: 0, ack: 0, credit: 0, messages: [], fin: false };
  while (reader.leftBytes > 0) {
    switch (reader.varint()) {
      case messagesTag:
        fields.messages.push(readMessage(reader));
        break;
      case sequenceTag:
        fields.sequence = reader.varint();
        break;
      case ackTag:
        fields.ack = reader.varint();
        break;
      case creditTag:
        fields.credit = reader.varint();
        break;
      case finTag:
        fields.fin = reader.flag();
        break;
      default:
        throw new RangeError("a field for a decoder");
    }
  }
  return fields;
}

function readMessage(reader: WireReader): FrameFields["messages"][number] {
  const message = { data: noData, text: false, more: false };
  const messageBytes = reader.varint();
  const end = reader.at + messageBytes;
  while (reader.at < end) {
    switch (reader.varint()) {
      case dataTag:
        message.data = reader.view();
        break;
      case textTag:
        message.text = reader.flag();
        break;
      case moreTag:
        message.more = reader.flag();
        break;
      default:
        throw new RangeError("a field for a decoder");
    }
  }
  if (reader.at > end) throw new RangeError("a field that reaches beyond its message");
  return message;
}
