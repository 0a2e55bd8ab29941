import type { DescMessage } from "@bufbuild/protobuf";
import { endStreamFlag } from "@connectrpc/connect/protocol-connect";
import { envelope, envelopeHeadBytes } from "../../../leg/envelope.js";
import { type WireLine, walkWire } from "./wire-walk.js";

/** A message of a streaming RPC, as Connect, gRPC and gRPC-Web put it on the wire: flags, length, content. */
export interface Envelope {
  flags: number;
  content: Uint8Array;
}

export function encodeEnvelope({ flags, content }: Envelope): Uint8Array {
  return envelope(flags, content);
}

/** Splits a whole body into its envelopes. */
export function decodeEnvelopes(body: Uint8Array): Envelope[] {
  const bytes = Buffer.from(body);
  const envelopes: Envelope[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const start = at + envelopeHeadBytes;
    const end = start + bytes.readUInt32BE(at + 1);
    envelopes.push({ flags: bytes.readUInt8(at), content: bytes.subarray(start, end) });
    at = end;
  }
  return envelopes;
}

/** The lines of an envelope: its head, and then its message or, in the last envelope of a response, its JSON. */
export function* walkEnvelope(schema: DescMessage, { flags, content }: Envelope, depth = 0): Generator<WireLine> {
  const head = envelope(flags, content).subarray(0, envelopeHeadBytes);
  const isEnd = (flags & endStreamFlag) !== 0;
  const what = isEnd ? "the end" : schema.name;
  yield { depth, bytes: head, note: `flags ${flags}, length ${content.byteLength}: ${what}` };
  // JSON is easier to read than its bytes.
  if (isEnd) yield { depth: depth + 1, bytes: new Uint8Array(), note: Buffer.from(content).toString("utf8") };
  else yield* walkWire(schema, content, depth + 1);
}
