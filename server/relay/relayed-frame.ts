import { fromBinary } from "@bufbuild/protobuf";
import type { Frame } from "../../gen/streamserver/v1/frame_pb.js";
import { ConnectRequestSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { envelopeHeadBytes } from "../../link/envelope.js";
import { frameEnvelope } from "../../link/leg-message.js";
import type { Parts } from "../../link/parts.js";
import { messageOverheadBytes } from "../../stream/sender.js";

/** A frame that is not kept decoded: the envelope in which it came, and can go. It has no reset. */
export interface EnvelopedFrame {
  costBytes: number;
  fin: boolean;
  envelope: Uint8Array;
  reset?: undefined;
}

/** A frame on its way through the relay, as the leg that it came on has it. */
export type RelayedFrame = Frame | EnvelopedFrame;

/** What it counts against `Limits.max_frame_bytes`. */
export function costOf(frame: RelayedFrame): number {
  return "envelope" in frame ? frame.costBytes : costOfMessages(frame.messages);
}

export function costOfMessages(messages: readonly { data: Uint8Array }[]): number {
  return messages.reduce((sum, { data }) => sum + data.byteLength + messageOverheadBytes, 0);
}

/** For a leg that travels in messages. */
export function messageOf(frame: RelayedFrame): Frame {
  if (!("envelope" in frame)) return frame;
  const { message } = fromBinary(ConnectRequestSchema, frame.envelope.subarray(envelopeHeadBytes));
  if (message.case !== "frame") throw new TypeError("an enveloped frame without a frame");
  return message.value;
}

/** For a leg that travels on a channel. */
export function envelopeOf(frame: RelayedFrame): Uint8Array | Parts {
  return "envelope" in frame ? frame.envelope : frameEnvelope(frame);
}
