import type { MessageInitShape } from "@bufbuild/protobuf";
import { Feature, type LimitsSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { legOverheadBytes, maxRpcMessageBytes } from "../../leg/leg-call.js";
import { defaultHeartbeatIntervalMs } from "../../link/link-watch.js";
import type { ReachedLimit } from "../../stream/error/stream-error.js";
import { described, knownOptions } from "./known-options.js";

/**
 * The limits of a relay. Every cap counts what is open at the moment, but for `maxCallsPerSecondPerCaller`, which
 * counts calls. docs/limits.md has the reasons.
 */
export interface RelayLimits {
  /** The longest name, in bytes of UTF-8. Default 256. */
  maxNameBytes: number;
  /** The largest metadata of a stream, keys and values together, in bytes of UTF-8. Default 8,192. */
  maxMetadataBytes: number;
  /**
   * The largest cost of the messages of one frame, in bytes; three messages of 64 KiB fit in. From 4,096 to 983,040;
   * default 200,704.
   */
  maxFrameBytes: number;
  /** Names with a listener. Default 10,000. */
  maxNames: number;
  /**
   * Names of one caller. A caller is an identity that `authorize` has verified, and otherwise an address. Callers on
   * this machine are limited so only as an identity. Default 1,000, a tenth of `maxNames`.
   */
  maxNamesPerCaller: number;
  /** Offers that wait at one listener, or for a listener of one name. Default 128. */
  maxOffersPerName: number;
  /**
   * Offers that wait for listeners of names that have none. Default 1,000, a tenth of `maxStreams`, so that clients
   * that wait leave room for those that have a listener.
   */
  maxWaitingOffers: number;
  /**
   * Streams: offers, and streams that wait for an endpoint whose leg broke, are among them. Four legs may be open for
   * each, counting those that have ended and that nobody has read to the end. Default 10,000.
   */
  maxStreams: number;
  /** Streams of one name, offers included. Default 10,000, because one listener may serve everybody. */
  maxStreamsPerName: number;
  /**
   * Streams that one caller has opened, offers included; and as many legs of its own that have ended, and that it has
   * not read to the end. Default 1,000, a tenth of `maxStreams`.
   */
  maxStreamsPerCaller: number;
  /**
   * Offers of one caller that wait for listeners of names that have none. Default 100, a tenth of `maxWaitingOffers`.
   */
  maxWaitingOffersPerCaller: number;
  /** Open `Watch` calls, and as many that watch the health, and as many of the reflection service. Default 1,000. */
  maxWatchers: number;
  /** Open `Watch` calls of one caller, and as many of the other two kinds. Default 100, a tenth of `maxWatchers`. */
  maxWatchersPerCaller: number;
  /** Links. A tab has one. Default 10,000. */
  maxLinks: number;
  /** Links from one address. Default 1,000, a tenth of `maxLinks`. */
  maxLinksPerCaller: number;
  /** Connections from one address to a port of `serveRelay`. Default 1,000, as many as links. */
  maxConnectionsPerCaller: number;
  /**
   * Open RPCs of requests of their own, admitted or not; those on channels of links do not count. Default 64,000: the
   * other limits allow 40,000 legs, 10,000 names, 10,000 links and 3,000 calls that watch or ask for types at once.
   */
  maxCalls: number;
  /**
   * Open RPCs from one address. Default 32,000, half of `maxCalls`: a proxy that is not trusted brings those of all its
   * callers, and 10,000 streams have 20,000 legs, beside 10,000 names.
   */
  maxCallsPerCaller: number;
  /**
   * Calls, on channels of links too, that hold nothing else that counts: their first message has not come, or nobody
   * reads their answer. Default 6,000, which take 59 KiB each at most.
   */
  maxOpeningCalls: number;
  /** The same from one address. Default 1,000, a sixth of `maxOpeningCalls`. */
  maxOpeningCallsPerCaller: number;
  /**
   * Channels of one link. The relay may hold 256 KiB of data for each of them each way, in buffers of up to four times
   * as much, and 16 MiB more for all of them. Default 512.
   */
  maxChannelsPerLink: number;
  /** Open calls of one HTTP/2 connection. Default 1,000. */
  maxStreamsPerConnection: number;
  /**
   * Calls of `Listen`, `Connect`, `List` and `Watch` of one caller in a second, in the long run; ten times as many at
   * once. Renewals of access tokens, calls of operators, and calls of any kind with a token of the relay's own that is
   * none count too. Endpoints that come back to their streams and names are counted apart, at the same rate for each
   * caller; as many as one may have may come at once: `maxStreams`, `maxStreamsPerCaller` and
   * `maxNamesPerCaller` together. Links that are opened are counted apart as well, with `maxLinksPerCaller` at once.
   * Default 100.
   */
  maxCallsPerSecondPerCaller: number;
  /** Requests of HTTP and WebSockets that the gateway has under way. Default 10,000, as many as streams. */
  maxGatewayCalls: number;
  /** Requests and WebSockets of one caller that the gateway has under way. Default 1,000. */
  maxGatewayCallsPerCaller: number;
  /** Bytes of the body of a request to the gateway. Default 2,147,483,647, which stands for no limit. */
  maxGatewayBodyBytes: number;
  /** Calls that wait for `authorize` to say whether they may come in. Default 1,000. */
  maxAuthorizations: number;
  /** Calls from one address that wait for `authorize`. Default 100, a tenth of `maxAuthorizations`. */
  maxAuthorizationsPerCaller: number;
  /** `authorize` may take this long, in milliseconds; then the call is refused. Default 10,000. */
  authorizeTimeoutMs: number;
  /**
   * Bytes that each endpoint of a stream may send in a second, and those of one second at once. More is not refused:
   * the relay reads it later, so the endpoint waits. Default 2,147,483,647, which stands for no limit.
   */
  maxBytesPerSecondPerStream: number;
  /** The same for all streams of one caller together. Default 2,147,483,647, which stands for no limit. */
  maxBytesPerSecondPerCaller: number;
  /**
   * Bytes that wait in the relay for all callers together to read them. Beyond, the streams and links that stand still
   * and hold most are ended, of the caller that holds most. Default 536,870,912.
   */
  maxHeldBytes: number;
  /** Bytes of one caller that wait to be read. Default 268,435,456, half of `maxHeldBytes`. */
  maxHeldBytesPerCaller: number;
  /** A stream ends when it is this old, in milliseconds. Default 2,147,483,647, which stands for no limit. */
  maxStreamAgeMs: number;
  /**
   * An accepted stream ends when nothing has come on it for this long, either way, in milliseconds. Default
   * 2,147,483,647, which stands for no limit.
   */
  maxStreamIdleMs: number;
  /** An offer waits this long for its listener, in milliseconds. Default 10,000. */
  acceptTimeoutMs: number;
  /**
   * `Connect` and `Accept` may take this long to send their first message, in milliseconds; so may a connection to a
   * port of the relay's own for its first bytes, its TLS handshake and the head of a request. Default 10,000.
   */
  openTimeoutMs: number;
  /**
   * The gateway waits this long for the head of an answer, in milliseconds. A call of gRPC or Connect has the deadline
   * of its caller instead. Default 75,000: a server behind a name gives its handler up after 60 s by itself.
   */
  gatewayTimeoutMs: number;
  /** A finished stream waits this long for both endpoints to end their requests, in milliseconds. Default 30,000. */
  lingerTimeoutMs: number;
  /**
   * The grace period: a stream waits this long for an endpoint whose leg broke, and a name for a listener whose
   * `Listen` broke, in milliseconds. Default 120,000.
   */
  graceMs: number;
  /** The interval at which the relay sends something on `Listen`, `Watch`, links and connections. Default 15,000. */
  heartbeatIntervalMs: number;
}

export const defaultLimits: Readonly<RelayLimits> = {
  maxNameBytes: 256,
  maxMetadataBytes: 8_192,
  maxFrameBytes: 200_704,
  maxNames: 10_000,
  maxNamesPerCaller: 1_000,
  maxOffersPerName: 128,
  maxWaitingOffers: 1_000,
  maxStreams: 10_000,
  maxStreamsPerName: 10_000,
  maxStreamsPerCaller: 1_000,
  maxWaitingOffersPerCaller: 100,
  maxWatchers: 1_000,
  maxWatchersPerCaller: 100,
  maxLinks: 10_000,
  maxLinksPerCaller: 1_000,
  maxConnectionsPerCaller: 1_000,
  maxCalls: 64_000,
  maxCallsPerCaller: 32_000,
  maxOpeningCalls: 6_000,
  maxOpeningCallsPerCaller: 1_000,
  maxChannelsPerLink: 512,
  maxStreamsPerConnection: 1_000,
  maxCallsPerSecondPerCaller: 100,
  maxGatewayCalls: 10_000,
  maxGatewayCallsPerCaller: 1_000,
  maxGatewayBodyBytes: 2_147_483_647,
  maxAuthorizations: 1_000,
  maxAuthorizationsPerCaller: 100,
  authorizeTimeoutMs: 10_000,
  maxBytesPerSecondPerStream: 2_147_483_647,
  maxBytesPerSecondPerCaller: 2_147_483_647,
  maxHeldBytes: 536_870_912,
  maxHeldBytesPerCaller: 268_435_456,
  maxStreamAgeMs: 2_147_483_647,
  maxStreamIdleMs: 2_147_483_647,
  acceptTimeoutMs: 10_000,
  openTimeoutMs: 10_000,
  gatewayTimeoutMs: 75_000,
  lingerTimeoutMs: 30_000,
  graceMs: 120_000,
  heartbeatIntervalMs: defaultHeartbeatIntervalMs,
};

/** A smaller frame could not hold the smallest part that a message is split into. */
export const minMaxFrameBytes = 4_096;
/** Clients take no larger RPC messages. */
export const maxMaxFrameBytes = maxRpcMessageBytes - legOverheadBytes;

/** Node's timers fire at once when they are given more; no other limit needs more either. */
export const maxTimerMs = 2_147_483_647;

/**
 * Returns the given limits, and the defaults for the others. Throws a TypeError for an unknown name, and a RangeError
 * for a value that the limit cannot have.
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

/** The limit on the size of something, as the error for its sender tells it. Trying again is of no use. */
export function exceededLimit(name: keyof RelayLimits, value: number): ReachedLimit {
  return { name, value, retryAfterMs: 0 };
}

/** The limits that `Registered` and `Opened` carry. */
export function limitsToWire(limits: RelayLimits): MessageInitShape<typeof LimitsSchema> {
  const { maxFrameBytes, maxNameBytes, maxMetadataBytes, maxOffersPerName } = limits;
  const { acceptTimeoutMs, lingerTimeoutMs, graceMs } = limits;
  return {
    maxFrameBytes,
    maxNameBytes,
    maxMetadataBytes,
    maxOffersPerName,
    acceptTimeoutMs,
    lingerTimeoutMs,
    features: [Feature.RESUME],
    graceMs,
  };
}
