import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { FrameSchema, type Frame as WireFrame } from "../gen/streamserver/v1/frame_pb.js";
import type { Frame } from "../stream/endpoint/frame.js";

/** A frame as the library decodes it, with its numbers as numbers: beyond 2^53 they are not exact. */
export function frameFromWire({ sequence, ack, credit, messages, fin, reset }: WireFrame): Frame {
  return { sequence: Number(sequence), ack: Number(ack), credit: Number(credit), messages, fin, reset };
}

/** A frame as the library encodes it. */
export function frameToWire({ sequence, ack, credit, messages, fin, reset }: Frame): WireFrame {
  const init: MessageInitShape<typeof FrameSchema> = {
    sequence: BigInt(sequence),
    ack: BigInt(ack),
    credit: BigInt(credit),
    messages,
    fin,
  };
  if (reset !== undefined) init.reset = reset;
  return create(FrameSchema, init);
}
