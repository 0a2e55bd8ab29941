import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Code } from "@connectrpc/connect";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { type ConnectRequest, ConnectRequestSchema } from "../../../gen/streamserver/v1/relay_pb.js";
import { dataOf, envelope } from "../../../leg/envelope.js";
import { readFrameHead } from "../../../leg/frame-head.js";
import { maxPinnedFactor, Parts } from "../../../leg/parts.js";
import { unpinned } from "../../../stream/endpoint/bytes.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import { costBytesOf, type RelayedFrame, receivedSequenceOf } from "../../relay/stream/relayed-frame.js";

/** A message of a leg's request. Throws FAILURE_PROTOCOL_VIOLATION for bytes that are none. */
export function decodeRequest(bytes: Parts): ConnectRequest {
  try {
    return fromBinary(ConnectRequestSchema, dataOf(bytes));
  } catch (cause) {
    throw violationError("bytes that are no message of a leg", undefined, cause);
  }
}

/** A frame as it came, or undefined for a kind of message that this relay does not know, which is ignored. */
export function frameOf(bytes: Parts): RelayedFrame | undefined {
  const head = readFrameHead(bytes);
  // A malformed reset is refused here, where its sender hears of the fault, rather than by the peer's decoder.
  if (head !== undefined && !head.reset) return { ...head, envelope: withoutChunks(bytes) };
  const { message } = decodeRequest(bytes);
  if (message.case === "open") throw violationError("only the first message is open");
  if (message.case === undefined) return undefined;
  // Fields beside the frame are not passed on: on the other leg their numbers may mean something that only a relay
  // says.
  const { sequence, ack, credit, messages, fin, reset } = message.value;
  const data = toBinary(ConnectRequestSchema, create(ConnectRequestSchema, { message }));
  return {
    sequence: Number(sequence),
    ack: receivedSequenceOf(ack),
    credit: Number(credit),
    costBytes: costBytesOf(messages),
    fin,
    reset: reset !== undefined,
    envelope: new Parts([envelope(0, data)]),
  };
}

/**
 * Copies what is in much larger chunks out of them. A frame that waits for its peer would keep the whole chunks in
 * memory.
 */
function withoutChunks(envelope: Parts): Parts {
  const arrays = envelope.arrays.map((array) => unpinned(array, maxPinnedFactor));
  return arrays.every((array, at) => array === envelope.arrays[at]) ? envelope : new Parts(arrays);
}

/** The error for a request that breaks the protocol. */
export function violationError(message: string, code?: Code, cause?: unknown): StreamError {
  return new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION, code, cause });
}
