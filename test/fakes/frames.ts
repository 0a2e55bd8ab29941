import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Frame, FrameSchema, type MessageSchema } from "../../gen/streamserver/v1/frame_pb.js";
import type { FrameFields } from "../../leg/frame-fields.js";
import type { Endpoint } from "../../stream/endpoint.js";
import { messageOverheadBytes } from "../../stream/sender.js";

export function frame(init: MessageInitShape<typeof FrameSchema>): Frame {
  return create(FrameSchema, init);
}

/** A frame with data. */
export function dataFrame(sequence: number, ...messages: MessageInitShape<typeof MessageSchema>[]): Frame {
  return frame({ sequence: BigInt(sequence), messages });
}

export function costOf({ messages }: Frame): number {
  return messages.reduce((sum, { data }) => sum + data.byteLength + messageOverheadBytes, 0);
}

/** Returns the fields of a frame that are read without a decoder. */
export function fieldsOf({ sequence, ack, credit, messages, fin }: Frame): FrameFields {
  const plain = messages.map(({ data, text, more }) => ({ data, text, more }));
  return { sequence: Number(sequence), ack: Number(ack), credit: Number(credit), messages: plain, fin };
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
