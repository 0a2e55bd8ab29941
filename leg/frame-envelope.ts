import { create, toBinary } from "@bufbuild/protobuf";
import { type ConnectRequest, ConnectRequestSchema } from "../gen/streamserver/v1/relay_pb.js";
import type { Frame, FrameMessage } from "../stream/endpoint/frame.js";
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
import { frameToWire } from "./wire-frame.js";
import { varintBytes, WireWriter } from "./wire-writer.js";

/** Returns memory of so many bytes, with any content, which belongs to an envelope until that is sent. */
export type EnvelopeMemory = (byteLength: number) => Uint8Array<ArrayBuffer>;

/**
 * Puts a frame, whose data is all there, into the envelope in which it travels on either leg of a stream.
 *
 * - `memory`: all data is copied into such memory, and the envelope is one array. Without it, large data is not copied.
 */
export function frameEnvelope(frame: Frame, memory?: EnvelopeMemory): Parts {
  const { sequence, ack, credit, messages, fin, reset } = frame;
  // An endpoint may grant all that 64 bits hold.
  if (reset !== undefined || Math.max(sequence, ack, credit) > Number.MAX_SAFE_INTEGER) {
    return new Parts([envelope(0, toBinary(ConnectRequestSchema, requestOf(frame)))]);
  }
  let frameBytes = numberBytes(sequence) + numberBytes(ack) + numberBytes(credit) + (fin ? 2 : 0);
  let largeBytes = 0;
  for (const message of messages) {
    const { data } = message;
    const messageBytes = bytesOf(message);
    frameBytes += 1 + varintBytes(messageBytes) + messageBytes;
    if (memory === undefined && !isSmall(data)) largeBytes += data.byteLength;
  }
  const dataBytes = 1 + varintBytes(frameBytes) + frameBytes;
  const ownBytes = envelopeHeadBytes + dataBytes - largeBytes;
  const writer = new WireWriter(ownBytes, memory?.(ownBytes));
  writeEnvelopeHead(writer.bytes, 0, dataBytes);
  writer.skip(envelopeHeadBytes).varint(frameTag).varint(frameBytes);
  if (sequence > 0) writer.varint(sequenceTag).varint(sequence);
  if (ack > 0) writer.varint(ackTag).varint(ack);
  if (credit > 0) writer.varint(creditTag).varint(credit);
  if (fin) writer.varint(finTag).varint(1);
  const parts: Uint8Array[] = [];
  for (const message of messages) writeMessage(writer, message, largeBytes > 0 ? parts : undefined);
  const rest = writer.cut();
  if (rest.byteLength > 0) parts.push(rest);
  return new Parts(parts);
}

/** Without `parts` large data is copied too. */
function writeMessage(writer: WireWriter, message: FrameMessage, parts: Uint8Array[] | undefined): void {
  const { data, text, more } = message;
  writer.varint(messagesTag).varint(bytesOf(message));
  // These fields stand before the data, so that nothing has to follow it.
  if (text) writer.varint(textTag).varint(1);
  if (more) writer.varint(moreTag).varint(1);
  writer.varint(dataTag).varint(data.byteLength);
  if (parts === undefined || isSmall(data)) writer.raw(data);
  else parts.push(writer.cut(), data);
}

/** The bytes of a field with a number, which is left out if it is zero. */
function numberBytes(number: number): number {
  return number > 0 ? 1 + varintBytes(number) : 0;
}

function requestOf(frame: Frame): ConnectRequest {
  return create(ConnectRequestSchema, { message: { case: "frame", value: frameToWire(frame) } });
}

function bytesOf(message: FrameMessage): number {
  const { byteLength } = message.data;
  return 1 + varintBytes(byteLength) + byteLength + (message.text ? 2 : 0) + (message.more ? 2 : 0);
}
