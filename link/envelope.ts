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
  bytes[1] = dataBytes >>> 24;
  bytes[2] = dataBytes >>> 16;
  bytes[3] = dataBytes >>> 8;
  bytes[4] = dataBytes;
}

/** Finds the envelopes of a body that comes in chunks. One that comes in one chunk is a view of it and not copied. */
export class EnvelopeSplitter {
  readonly #maxDataBytes: number;
  #state:
    | { kind: "head"; bytes: Uint8Array }
    /** Of an envelope that came in part. */
    | { kind: "rest"; bytes: Uint8Array; filledBytes: number } = { kind: "head", bytes: new Uint8Array() };

  constructor(maxDataBytes: number) {
    this.#maxDataBytes = maxDataBytes;
  }

  /** The envelopes that end in the next chunk. Throws FAILURE_FRAME_TOO_LARGE for one of more than `maxDataBytes`. */
  *split(chunk: Uint8Array): Generator<Envelope, void, undefined> {
    for (let left = chunk; left.byteLength > 0; ) {
      const state = this.#state;
      if (state.kind === "rest") {
        const part = left.subarray(0, state.bytes.byteLength - state.filledBytes);
        state.bytes.set(part, state.filledBytes);
        state.filledBytes += part.byteLength;
        left = left.subarray(part.byteLength);
        if (state.filledBytes < state.bytes.byteLength) return;
        this.#state = { kind: "head", bytes: new Uint8Array() };
        yield new Envelope(state.bytes);
        continue;
      }
      if (state.bytes.byteLength > 0) left = joined(state.bytes, left);
      if (left.byteLength < envelopeHeadBytes) {
        this.#state = { kind: "head", bytes: left };
        return;
      }
      const wholeBytes = envelopeHeadBytes + this.#dataBytesOf(left);
      if (left.byteLength < wholeBytes) {
        this.#state = { kind: "rest", bytes: new Uint8Array(wholeBytes), filledBytes: 0 };
        continue;
      }
      if (state.bytes.byteLength > 0) this.#state = { kind: "head", bytes: new Uint8Array() };
      const envelope = new Envelope(left.subarray(0, wholeBytes));
      // Before: whoever takes it may give its memory away.
      left = left.subarray(wholeBytes);
      yield envelope;
    }
  }

  /** The body has ended. Throws FAILURE_PROTOCOL_VIOLATION if it did within an envelope. */
  end(): void {
    if (this.#state.kind === "head" && this.#state.bytes.byteLength === 0) return;
    throw new StreamError("the body ended within a message", { failure: Failure.PROTOCOL_VIOLATION });
  }

  #dataBytesOf(head: Uint8Array): number {
    const dataBytes = new DataView(head.buffer, head.byteOffset).getUint32(1);
    if (dataBytes <= this.#maxDataBytes) return dataBytes;
    const message = `a message of ${dataBytes} bytes is larger than ${this.#maxDataBytes}`;
    throw new StreamError(message, { failure: Failure.FRAME_TOO_LARGE });
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.byteLength + second.byteLength);
  bytes.set(first);
  bytes.set(second, first.byteLength);
  return bytes;
}
