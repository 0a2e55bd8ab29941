import type { DescMessage } from "@bufbuild/protobuf";
import { type WireLine, walkWire } from "./wire-walk.js";

/** Set on the envelope in which a response over Connect ends. */
export const endStreamFlag = 0x02;

export interface Envelope {
  flags: number;
  content: Uint8Array;
}

/** Flags, length, message: how Connect, gRPC and gRPC-Web put a message of a streaming RPC on the wire. */
export function encodeEnvelope({ flags, content }: Envelope): Uint8Array {
  const bytes = Buffer.alloc(5 + content.byteLength);
  bytes.writeUInt8(flags, 0);
  bytes.writeUInt32BE(content.byteLength, 1);
  bytes.set(content, 5);
  return bytes;
}

export function decodeEnvelopes(bytes: Uint8Array): Envelope[] {
  const all = Buffer.from(bytes);
  const envelopes: Envelope[] = [];
  for (let at = 0; at < all.byteLength; ) {
    const end = at + 5 + all.readUInt32BE(at + 1);
    envelopes.push({ flags: all.readUInt8(at), content: all.subarray(at + 5, end) });
    at = end;
  }
  return envelopes;
}

/** An envelope's lines: its head, then its message, or the JSON in which a response ends. */
export function* walkEnvelope(schema: DescMessage, envelope: Envelope, depth = 0): Generator<WireLine> {
  const { flags, content } = envelope;
  const bytes = encodeEnvelope(envelope);
  const isEnd = (flags & endStreamFlag) !== 0;
  const what = isEnd ? "the end" : schema.name;
  yield { depth, bytes: bytes.subarray(0, 5), note: `flags ${flags}, length ${content.byteLength}: ${what}` };
  // JSON is easier to read than its bytes.
  if (isEnd) yield { depth: depth + 1, bytes: new Uint8Array(), note: Buffer.from(content).toString("utf8") };
  else yield* walkWire(schema, content, depth + 1);
}
