import { Feature } from "../../gen/streamserver/v1/relay_pb.js";

/** The abilities of an endpoint that its peer needs to know. */
export interface Capabilities {
  /** Grants and obeys credit. */
  credit: boolean;
  /** Acknowledges what it receives. */
  ack: boolean;
  /** Keeps the frames that are not acknowledged, and attaches again when a leg breaks. Needs credit and acks. */
  resume: boolean;
  /** The largest message it takes, in bytes. */
  maxMessageBytes: number;
}

/** The meaning of a `max_message_bytes` of 0: 16 MiB. */
export const defaultMaxMessageBytes = 16_777_216;

/** Reads `Capabilities` from the wire; an endpoint that says nothing is a simple client. */
export function capabilitiesFromWire(wire: { features: Feature[]; maxMessageBytes: bigint } | undefined): Capabilities {
  return {
    credit: wire?.features.includes(Feature.CREDIT) ?? false,
    ack: wire?.features.includes(Feature.ACK) ?? false,
    resume: wire?.features.includes(Feature.RESUME) ?? false,
    maxMessageBytes: Number(wire?.maxMessageBytes ?? 0n) || defaultMaxMessageBytes,
  };
}

/** The inverse of {@link capabilitiesFromWire}. */
export function capabilitiesToWire(own: Capabilities): { features: Feature[]; maxMessageBytes: bigint } {
  const features: Feature[] = [];
  if (own.credit) features.push(Feature.CREDIT);
  if (own.ack) features.push(Feature.ACK);
  if (own.resume) features.push(Feature.RESUME);
  return { features, maxMessageBytes: BigInt(own.maxMessageBytes) };
}
