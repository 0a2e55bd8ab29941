import type { Frame, FrameMessage } from "../stream/endpoint/frame.js";
import { envelopeHeadBytes } from "./envelope.js";
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
import type { Parts } from "./parts.js";
import { noBytes, unreadableError, WireReader } from "./wire-reader.js";

/**
 * Reads the frame in an envelope. The data of a message is a view where it came in one chunk, and a copy where it came
 * in several. Returns undefined for an envelope that has to be decoded: one that holds anything but one frame, a frame
 * with a reset, or a frame with a field that this code does not know.
 */
export function readFrame(envelope: Parts): Frame | undefined {
  return readFrameBy(readFields, envelope);
}

/**
 * Returns the result of `read`, which is called with the fields of the frame in an envelope. Returns undefined if
 * `read` throws, and for an envelope that holds anything but one frame.
 */
export function readFrameBy<T>(read: (fields: WireReader) => T, envelope: Parts): T | undefined {
  try {
    const reader = new WireReader(envelope);
    reader.skip(envelopeHeadBytes);
    if (reader.uint32() !== frameTag || reader.uint32() !== reader.leftBytes) return undefined;
    return read(reader);
  } catch {
    return undefined;
  }
}

function readFields(reader: WireReader): Frame {
  const frame: Frame = { sequence: 0, ack: 0, credit: 0, messages: [], fin: false, reset: undefined };
  while (reader.leftBytes > 0) {
    switch (reader.uint32()) {
      case messagesTag:
        frame.messages.push(readMessage(reader));
        break;
      case sequenceTag:
        frame.sequence = reader.varint();
        break;
      case ackTag:
        frame.ack = reader.varint();
        break;
      case creditTag:
        frame.credit = reader.varint();
        break;
      case finTag:
        frame.fin = reader.flag();
        break;
      default:
        throw unreadableError();
    }
  }
  return frame;
}

function readMessage(reader: WireReader): FrameMessage {
  const message: FrameMessage = { data: noBytes, text: false, more: false };
  const messageBytes = reader.varint();
  const end = reader.at + messageBytes;
  while (reader.at < end) {
    switch (reader.uint32()) {
      case dataTag:
        message.data = reader.take(reader.varint());
        break;
      case textTag:
        message.text = reader.flag();
        break;
      case moreTag:
        message.more = reader.flag();
        break;
      default:
        throw unreadableError();
    }
  }
  if (reader.at > end) throw unreadableError();
  return message;
}
