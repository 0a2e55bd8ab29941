import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../stream/stream-error.js";

/** Flags and a length in front of each message of a streaming RPC, as Connect and gRPC have them. */
export const envelopeHeadBytes = 5;

/** A message in a body, with its head. */
export class Envelope {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get flags(): number {
    return this.bytes[0] ?? 0;
  }

  get data(): Uint8Array {
    return this.bytes.subarray(envelopeHeadBytes);
  }
}

export function envelope(flags: number, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(envelopeHeadBytes + data.byteLength);
  writeEnvelopeHead(bytes, flags, data.byteLength);
  bytes.set(data, envelopeHeadBytes);
  return bytes;
}

export function writeEnvelopeHead(bytes: Uint8Array, flags: number, dataBytes: number): void {
  bytes[0] = flags;
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(1, dataBytes);
}

/**
 * The envelopes of a body. One that came in one chunk is a view of it and not copied. Throws FAILURE_FRAME_TOO_LARGE for one of
 * more than `maxDataBytes`, and FAILURE_PROTOCOL_VIOLATION for a body that ends within one.
 */
export async function* envelopesOf(
  body: AsyncIterable<Uint8Array>,
  maxDataBytes: number,
): AsyncGenerator<Envelope, void, undefined> {
  let rest = new Uint8Array() as Uint8Array;
  /** What is still to come of an envelope that came in part. */
  let gathering: { bytes: Uint8Array; filledBytes: number } | undefined;
  for await (let chunk of body) {
    while (chunk.byteLength > 0) {
      if (gathering !== undefined) {
        const part = chunk.subarray(0, gathering.bytes.byteLength - gathering.filledBytes);
        gathering.bytes.set(part, gathering.filledBytes);
        gathering.filledBytes += part.byteLength;
        chunk = chunk.subarray(part.byteLength);
        if (gathering.filledBytes < gathering.bytes.byteLength) continue;
        const { bytes } = gathering;
        gathering = undefined;
        yield new Envelope(bytes);
        continue;
      }
      if (rest.byteLength > 0) {
        chunk = joined(rest, chunk);
        rest = new Uint8Array();
      }
      if (chunk.byteLength < envelopeHeadBytes) {
        rest = chunk;
        break;
      }
      const wholeBytes = envelopeHeadBytes + dataBytesOf(chunk);
      if (wholeBytes - envelopeHeadBytes > maxDataBytes) {
        const message = `a message of ${wholeBytes - envelopeHeadBytes} bytes is larger than ${maxDataBytes}`;
        throw new StreamError(message, { failure: Failure.FRAME_TOO_LARGE });
      }
      if (chunk.byteLength >= wholeBytes) {
        yield new Envelope(chunk.subarray(0, wholeBytes));
        chunk = chunk.subarray(wholeBytes);
      } else {
        gathering = { bytes: new Uint8Array(wholeBytes), filledBytes: 0 };
      }
    }
  }
  if (rest.byteLength > 0 || gathering !== undefined) {
    throw new StreamError("the body ended within a message", { failure: Failure.PROTOCOL_VIOLATION });
  }
}

function dataBytesOf(head: Uint8Array): number {
  return new DataView(head.buffer, head.byteOffset).getUint32(1);
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.byteLength + second.byteLength);
  bytes.set(first);
  bytes.set(second, first.byteLength);
  return bytes;
}
