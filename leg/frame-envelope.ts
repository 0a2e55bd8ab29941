import { create, toBinary } from "@bufbuild/protobuf";
import type { Frame, Message } from "../gen/streamserver/v1/frame_pb.js";
import { type ConnectRequest, ConnectRequestSchema } from "../gen/streamserver/v1/relay_pb.js";
import { isDetached, transferredAwayError } from "../stream/bytes.js";
import { envelope, envelopeHeadBytes, writeEnvelopeHead } from "./envelope.js";
import {
  ackTag,
  creditTag,
  dataTag,
  finTag,
  frameTag,
  messagesTag,
  moreTag,
  sequenceTag,
  textTag,
} from "./frame-tags.js";
import { isSmall, Parts } from "./parts.js";
import { varintBytes, WireWriter } from "./wire-writer.js";

const numberTags = [sequenceTag, ackTag, creditTag];

/**
 * Puts a frame into the envelope in which it travels on either leg of a stream. Large data is not copied. Throws
 * `invalid_argument` if data was transferred away.
 */
export function frameEnvelope(frame: Frame): Parts {
  const numbers = [Number(frame.sequence), Number(frame.ack), Number(frame.credit)];
  // An endpoint may grant all that 64 bits hold.
  if (frame.reset !== undefined || numbers.some((number) => number > Number.MAX_SAFE_INTEGER)) {
    return new Parts([envelope(0, toBinary(ConnectRequestSchema, requestOf(frame)))]);
  }
  // A transport asks for a frame some turns before it encodes it.
  if (frame.messages.some(({ data }) => isDetached(data.buffer))) throw transferredAwayError();
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
    // These fields stand before the data, so that nothing has to follow it.
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
