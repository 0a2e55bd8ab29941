import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { FrameSchema, type MessageSchema } from "../../gen/streamserver/v1/frame_pb.js";
import { frameFromWire } from "../../leg/wire-frame.js";
import type { Endpoint } from "../../stream/endpoint/endpoint.js";
import type { Frame } from "../../stream/endpoint/frame.js";
import { messageOverheadBytes } from "../../stream/endpoint/sender.js";

export function frame(init: MessageInitShape<typeof FrameSchema>): Frame {
  return frameFromWire(create(FrameSchema, init));
}

/** A frame with data. */
export function dataFrame(sequence: number, ...messages: MessageInitShape<typeof MessageSchema>[]): Frame {
  return frame({ sequence: BigInt(sequence), messages });
}

export function costOf({ messages }: Frame): number {
  return messages.reduce((sum, { data }) => sum + data.byteLength + messageOverheadBytes, 0);
}

/** A frame with nothing but what a frame has, as it is read without a decoder. */
export function plainFrame({ messages, ...rest }: Frame): Frame {
  return { ...rest, messages: messages.map(({ data, text, more }) => ({ data, text, more })) };
}

/** Every frame that an endpoint has to send now. */
export function takeFrames(endpoint: Endpoint): Frame[] {
  const frames: Frame[] = [];
  for (let next = endpoint.takeFrame(); next !== undefined; next = endpoint.takeFrame()) frames.push(next);
  return frames;
}

/** Carries frames between two endpoints until neither has anything to say. */
export function exchange(a: Endpoint, b: Endpoint): void {
  for (;;) {
    const [fromA, fromB] = [takeFrames(a), takeFrames(b)];
    if (fromA.length + fromB.length === 0) return;
    for (const sent of fromA) b.receive(sent);
    for (const sent of fromB) a.receive(sent);
  }
}
