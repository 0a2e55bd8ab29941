import type { Parts } from "./parts.js";

/** The head of an envelope: one byte of flags and four of length, the same in Connect, gRPC and gRPC-Web. */
export const envelopeHeadBytes = 5;

/** A message of a streaming RPC in its envelope. The data is copied. */
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

/** The data of an envelope, without its head, in one array. It is copied if the envelope came in several chunks. */
export function dataOf(envelope: Parts): Uint8Array {
  return envelope.joined.subarray(envelopeHeadBytes);
}
