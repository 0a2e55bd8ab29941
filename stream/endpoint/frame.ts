import type { Reset } from "../../gen/streamserver/v1/frame_pb.js";

/** A `Frame` of the protocol, with its numbers as numbers. Zero stands for none. */
export interface Frame {
  sequence: number;
  ack: number;
  credit: number;
  messages: FrameMessage[];
  fin: boolean;
  reset: Reset | undefined;
}

/** A message of a frame, or a part of one. */
export interface FrameMessage {
  data: Uint8Array;
  text: boolean;
  more: boolean;
}
