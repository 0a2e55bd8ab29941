import { FrameSchema, MessageSchema } from "../gen/streamserver/v1/frame_pb.js";
import { ConnectRequestSchema } from "../gen/streamserver/v1/relay_pb.js";
import type { Parts } from "../link/parts.js";
import { lengthTag, varintTag } from "../link/wire-writer.js";
import { messageOverheadBytes } from "../stream/sender.js";
import { envelopeHeadBytes } from "./envelope-reader.js";
import { PartsReader } from "./parts-reader.js";

/** A frame has the same field number in all four messages of a leg. */
const frameTag = lengthTag(ConnectRequestSchema.field.frame.number);
const messagesTag = lengthTag(FrameSchema.field.messages.number);
const finTag = varintTag(FrameSchema.field.fin.number);
const resetTag = lengthTag(FrameSchema.field.reset.number);
const dataTag = lengthTag(MessageSchema.field.data.number);

/** What a relay has to know of a frame that it passes on. */
export interface FrameHead {
  /** What the messages of the frame count against `Limits.max_frame_bytes`. */
  costBytes: number;
  fin: boolean;
  reset: boolean;
}

/**
 * Reads the head of the frame in an envelope, and skips over the data of its messages. Unknown fields are skipped.
 * Returns undefined if the envelope holds anything beside one frame, such as an `Open`: that takes a decoder.
 * Throws a `RangeError` for bytes that are no frame.
 */
export function readFrameHead(envelope: Parts): FrameHead | undefined {
  const reader = new PartsReader(envelope);
  reader.skip(envelopeHeadBytes);
  if (reader.leftBytes === 0 || reader.varint() !== frameTag || reader.varint() !== reader.leftBytes) return undefined;
  const head: FrameHead = { costBytes: 0, fin: false, reset: false };
  while (reader.leftBytes > 0) {
    const tag = reader.varint();
    if (tag === messagesTag) head.costBytes += messageOverheadBytes + readDataBytes(reader);
    else if (tag === finTag) head.fin = reader.varint() !== 0;
    else {
      if (tag === resetTag) head.reset = true;
      skipField(reader, tag);
    }
  }
  return head;
}

/** Reads a message and returns the size of its data. A message with several data fields counts all of them. */
function readDataBytes(reader: PartsReader): number {
  const messageBytes = reader.varint();
  const end = reader.at + messageBytes;
  let dataBytes = 0;
  while (reader.at < end) {
    const tag = reader.varint();
    if (tag === dataTag) {
      const byteLength = reader.varint();
      dataBytes += byteLength;
      reader.skip(byteLength);
    } else skipField(reader, tag);
  }
  if (reader.at > end) throw new RangeError("a field that reaches beyond its message");
  return dataBytes;
}

/** Wire types of Protobuf, which are the last three bits of a tag. */
const [varint, fixed64, lengthDelimited, fixed32] = [0, 1, 2, 5];

function skipField(reader: PartsReader, tag: number): void {
  switch (tag % 8) {
    case varint:
      return reader.skipVarint();
    case fixed64:
      return reader.skip(8);
    case lengthDelimited:
      return reader.skip(reader.varint());
    case fixed32:
      return reader.skip(4);
    default:
      throw new RangeError(`a field of the wire type ${tag % 8}`);
  }
}
