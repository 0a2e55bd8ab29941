import { fromBinary } from "@bufbuild/protobuf";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { ConnectRequestSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { dataOf } from "../../../leg/envelope.js";
import { frameEnvelope } from "../../../leg/frame-envelope.js";
import type { FrameHead } from "../../../leg/frame-head.js";
import { readFrame } from "../../../leg/frame-reader.js";
import type { Parts } from "../../../leg/parts.js";
import { frameFromWire } from "../../../leg/wire-frame.js";
import type { Frame } from "../../../stream/endpoint/frame.js";
import { messageOverheadBytes } from "../../../stream/endpoint/sender.js";
import { resetOf } from "../../../stream/error/reset.js";
import { StreamError } from "../../../stream/error/stream-error.js";

/** A frame on its way through the relay: its head, and the envelope in which it came and leaves. */
export interface RelayedFrame extends FrameHead {
  envelope: Parts;
}

/**
 * Puts a frame of an endpoint in this process on its way through the relay. All data is copied, because the application
 * may modify or transfer its bytes while the frame waits for a peer.
 */
export function relayedFrame(frame: Frame): RelayedFrame {
  const { sequence, ack, credit, messages, fin, reset } = frame;
  const envelope = frameEnvelope(frame, (byteLength) => new Uint8Array(byteLength));
  return { sequence, ack, credit, costBytes: costBytesOf(messages), fin, reset: reset !== undefined, envelope };
}

/** A reset in the name of an endpoint, which has received the frames up to `ack`, or does not say if that is 0. */
export function resetFrame(error: StreamError, ack: number): RelayedFrame {
  return relayedFrame({ sequence: 0, ack, credit: 0, messages: [], fin: false, reset: resetOf(error) });
}

/**
 * Returns the number of a frame that an endpoint says to have received. Throws FAILURE_PROTOCOL_VIOLATION for 2^53 or
 * more, which no peer can have sent: at a million frames a second it takes 285 years.
 */
export function receivedSequenceOf(sequence: bigint): number {
  if (sequence <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(sequence);
  throw new StreamError(`no frame can have the number ${sequence}`, { failure: Failure.PROTOCOL_VIOLATION });
}

/** The bytes that messages count against `Limits.max_frame_bytes`. */
export function costBytesOf(messages: readonly { data: Uint8Array }[]): number {
  let costBytes = 0;
  for (const { data } of messages) costBytes += data.byteLength + messageOverheadBytes;
  return costBytes;
}

/**
 * Returns the frame for an endpoint in this process. Each message has memory of its own, because the chunk in which it
 * came may hold frames of other streams, and an application may transfer the memory of its messages away. Throws for an
 * envelope that holds anything but a frame.
 */
export function endpointFrame({ envelope }: RelayedFrame): Frame {
  const frame = readFrame(envelope) ?? decodedFrame(envelope);
  for (const message of frame.messages) {
    const { data } = message;
    // Not `slice`, which copies nothing of a Buffer.
    if (data.byteLength < data.buffer.byteLength) message.data = new Uint8Array(data);
  }
  return frame;
}

function decodedFrame(envelope: Parts): Frame {
  const { message } = fromBinary(ConnectRequestSchema, dataOf(envelope));
  if (message.case !== "frame") throw new RangeError("an envelope without a frame");
  return frameFromWire(message.value);
}
