import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LimitsSchema } from "../../gen/streamserver/v1/relay_pb.js";

/** What a relay allows. Caps count what is live, never attempts. */
export interface RelayLimits {
  /** The longest name, in bytes of UTF-8. Default 256. */
  maxNameBytes: number;
  /** The largest metadata of a stream, keys and values together. Default 8,192. */
  maxMetadataBytes: number;
  /** The largest cost of the messages of one frame. Default 200,704, which three of 64 KiB fit in; from 4,096 to 983,040. */
  maxFrameBytes: number;
  /** Names that are listened on. Default 10,000. */
  maxNames: number;
  /** Offers that wait at one listener. Default 128. */
  maxOffersPerName: number;
  /** Streams, offers included. Four legs may be open for each, counting those of streams that ended unread. Default 10,000. */
  maxStreams: number;
  /** Open `Watch` calls. Default 1,000. */
  maxWatchers: number;
  /** Links, which is about the number of tabs. Default 10,000. */
  maxLinks: number;
  /** Channels of one link. Each may hold 256 KiB each way in the relay, those of one link together 16 MiB more. Default 512. */
  maxChannelsPerLink: number;
  /** Requests of one HTTP/2 connection. Default 1,000. */
  maxStreamsPerConnection: number;
  /** How long an offer waits. Default 10,000. */
  acceptTimeoutMs: number;
  /** How long a call may take to say its first message. Default 10,000. */
  openTimeoutMs: number;
  /** How long a finished stream waits for both endpoints to end their requests. Default 30,000. */
  lingerTimeoutMs: number;
  /** How often `Listen`, `Watch` and `Receive` say something. Default 15,000. */
  heartbeatIntervalMs: number;
}

export const defaultLimits: Readonly<RelayLimits> = {
  maxNameBytes: 256,
  maxMetadataBytes: 8_192,
  maxFrameBytes: 200_704,
  maxNames: 10_000,
  maxOffersPerName: 128,
  maxStreams: 10_000,
  maxWatchers: 1_000,
  maxLinks: 10_000,
  maxChannelsPerLink: 512,
  maxStreamsPerConnection: 1_000,
  acceptTimeoutMs: 10_000,
  openTimeoutMs: 10_000,
  lingerTimeoutMs: 30_000,
  heartbeatIntervalMs: 15_000,
};

/** A smaller frame could not hold the smallest part that a message is split into. */
const leastMaxFrameBytes = 4_096;
/** Clients take messages of 1 MiB: a frame, and what is around it. */
const mostMaxFrameBytes = 983_040;

/** What a timer takes; beyond it, Node's fires at once. */
const mostOfLimit = 2_147_483_647;

/** Throws a RangeError for a limit that cannot be. */
export function checkLimits(limits: RelayLimits): void {
  for (const [name, value] of Object.entries(limits)) {
    const [least, most] = name === "maxFrameBytes" ? [leastMaxFrameBytes, mostMaxFrameBytes] : [1, mostOfLimit];
    if (Number.isInteger(value) && value >= least && value <= most) continue;
    throw new RangeError(`${name} is a whole number from ${least} to ${most}, not ${value}`);
  }
}

/** What of it the endpoints are told. */
export function limitsToWire(limits: RelayLimits): MessageInitShape<typeof LimitsSchema> {
  const { maxFrameBytes, maxNameBytes, maxMetadataBytes, acceptTimeoutMs, lingerTimeoutMs } = limits;
  const maxOffersPerName = limits.maxOffersPerName;
  return { maxFrameBytes, maxNameBytes, maxMetadataBytes, maxOffersPerName, acceptTimeoutMs, lingerTimeoutMs };
}
