import { messageOverheadBytes } from "../stream/endpoint/sender.js";
import { envelopeHeadBytes } from "./envelope.js";
import { readFrameBy } from "./frame-reader.js";
import {
  ackTag,
  creditTag,
  dataTag,
  finTag,
  messagesTag,
  moreTag,
  resetTag,
  sequenceTag,
  textTag,
} from "./frame-tags.js";
import type { Parts } from "./parts.js";
import { unreadableError, type WireReader } from "./wire-reader.js";

/** The facts that a relay has to know about a frame that it passes on. */
export interface FrameHead {
  /** The number of the frame in its direction. 0 for a frame that carries neither messages nor fin. */
  sequence: number;
  /** The highest number that the sender has received in the other direction. 0 says nothing. */
  ack: number;
  /** The offset up to which the sender lets its peer send. 0 says nothing. */
  credit: number;
  /** The bytes that the messages of the frame count against `Limits.max_frame_bytes`. */
  costBytes: number;
  fin: boolean;
  reset: boolean;
}

/**
 * Reads the head of the frame in an envelope, and skips over the data of its messages. Unknown fields are skipped.
 * Returns undefined for an envelope that has to be decoded: one that holds anything but one frame, such as an `Open`,
 * or a frame in an encoding that some decoders refuse.
 */
export function readFrameHead(envelope: Parts): FrameHead | undefined {
  // An empty envelope costs its sender five bytes, and an exception costs the relay 10 µs.
  return envelope.byteLength === envelopeHeadBytes ? undefined : readFrameBy(readHead, envelope);
}

const frameTags = new Set([sequenceTag, ackTag, creditTag, messagesTag, finTag, resetTag]);
const messageTags = new Set([dataTag, textTag, moreTag]);

function readHead(reader: WireReader): FrameHead {
  const head: FrameHead = { sequence: 0, ack: 0, credit: 0, costBytes: 0, fin: false, reset: false };
  while (reader.leftBytes > 0) {
    const tag = reader.uint32();
    if (tag === messagesTag) head.costBytes += messageOverheadBytes + readDataBytes(reader);
    else if (tag === sequenceTag) head.sequence = readVarint(reader);
    else if (tag === ackTag) head.ack = reader.varint();
    else if (tag === creditTag) head.credit = readVarint(reader);
    else if (tag === finTag) head.fin = reader.varint() !== 0;
    else {
      if (tag === resetTag) head.reset = true;
      skipField(reader, tag, frameTags);
    }
  }
  return head;
}

/** Reads a message and returns the size of its data. A message with several data fields counts all of them. */
function readDataBytes(reader: WireReader): number {
  const messageBytes = reader.uint32();
  const end = reader.at + messageBytes;
  let dataBytes = 0;
  while (reader.at < end) {
    const tag = reader.uint32();
    if (tag === dataTag) {
      const byteLength = reader.uint32();
      dataBytes += byteLength;
      reader.skip(byteLength);
    } else skipField(reader, tag, messageTags);
  }
  if (reader.at > end) throw unreadableError();
  return dataBytes;
}

/** Wire types of Protobuf, which are the last three bits of a tag. */
const [varint, fixed64, lengthDelimited, fixed32] = [0, 1, 2, 5];

/** Skips a field. Decoders differ in how they read a known field of another wire type, so one is refused here. */
function skipField(reader: WireReader, tag: number, knownTags: ReadonlySet<number>): void {
  if (!knownTags.has(tag) && Math.floor(tag / 8) <= knownTags.size) throw unreadableError();
  switch (tag % 8) {
    case varint:
      return void readVarint(reader);
    case fixed64:
      return reader.skip(8);
    case lengthDelimited:
      return reader.skip(reader.uint32());
    case fixed32:
      return reader.skip(4);
    default:
      throw unreadableError();
  }
}

/**
 * Reads a number of up to 64 bits, which is rounded from 2^53 on. Nine bytes hold 63 bits of it, so the tenth is one at
 * most.
 */
function readVarint(reader: WireReader): number {
  let number = 0;
  let factor = 1;
  for (let bytes = 1; bytes < 10; bytes += 1) {
    const byte = reader.byte();
    number += (byte & 0x7f) * factor;
    if (byte < 0x80) return number;
    factor *= 0x80;
  }
  const last = reader.byte();
  if (last > 1) throw unreadableError();
  return number + last * factor;
}
