import type { MessageInitShape } from "@bufbuild/protobuf";
import type { LimitsSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { described, knownOptions } from "./known-options.js";

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
const minMaxFrameBytes = 4_096;
/** Clients take RPC messages of 1,048,576 bytes; 65,536 of them are left for all that is not a frame's messages. */
const maxMaxFrameBytes = 983_040;

/** Node's timers fire at once when they are given more; no other limit needs more either. */
const maxTimerMs = 2_147_483_647;

/**
 * The limits that are given, and the defaults for the others. Throws a TypeError for a name that there is none of, and a
 * RangeError for a value that a limit cannot have.
 */
export function checkedLimits(given: Partial<RelayLimits>): RelayLimits {
  const names = Object.keys(defaultLimits) as (keyof RelayLimits)[];
  const limits = { ...defaultLimits, ...knownOptions("limits", given, names) };
  for (const name of names) {
    const value = limits[name];
    const [min, max] = name === "maxFrameBytes" ? [minMaxFrameBytes, maxMaxFrameBytes] : [1, maxTimerMs];
    if (Number.isInteger(value) && value >= min && value <= max) continue;
    throw new RangeError(`${name} is a whole number from ${min} to ${max}, not ${described(value)}`);
  }
  return limits;
}

/** The limits that `Registered` and `Opened` carry. */
export function limitsToWire(limits: RelayLimits): MessageInitShape<typeof LimitsSchema> {
  const { maxFrameBytes, maxNameBytes, maxMetadataBytes, acceptTimeoutMs, lingerTimeoutMs } = limits;
  const maxOffersPerName = limits.maxOffersPerName;
  return { maxFrameBytes, maxNameBytes, maxMetadataBytes, maxOffersPerName, acceptTimeoutMs, lingerTimeoutMs };
}
