import { maxMaxFrameBytes, minMaxFrameBytes } from "../../../server/admission/limits.js";
import { maxWaitingOfferBytes } from "../../../server/admission/resource.js";
import { bytes, inLimits, type LimitRow, limitReached, notTold, type RelayRows, tooLarge } from "./limit-row.js";
import { grouped } from "./markdown.js";

/** The callers that are told apart. */
const callers =
  "an identity that the relay's policy has verified, and otherwise an address, but for those on the relay's machine";

/** Limits of size and number that the operator of the relay may set. */
export const relaySizes: RelayRows = {
  maxNameBytes: (value) => ({
    what: "a name",
    value: bytes(value),
    beyond: "`Listen` and `Connect` end with `FAILURE_NAME_INVALID`, as for an empty name",
    told: inLimits("max_name_bytes"),
  }),
  maxMetadataBytes: (value) => ({
    what: "the metadata of an `Open`, keys and values together",
    value: bytes(value),
    beyond: `\`Connect\` ends with ${tooLarge}`,
    told: inLimits("max_metadata_bytes"),
  }),
  maxFrameBytes: (value) => ({
    what: "the cost of a frame's messages",
    value: `${bytes(value)}; no relay has less than ${grouped(minMaxFrameBytes)}, or more than ${grouped(maxMaxFrameBytes)}`,
    beyond: `the sender's call ends with ${tooLarge}, the other one with \`FAILURE_LEG_LOST\``,
    told: inLimits("max_frame_bytes"),
  }),
  maxNames: (value) => cap("names that are listened on", value, `\`Listen\` ends with ${limitReached}`),
  maxNamesPerCaller: (value) => cap(`names of one caller: ${callers}`, value, `\`Listen\` ends with ${limitReached}`),
  maxOffersPerName: (value) => ({
    ...cap("offers that wait at one listener, or for one of one name", value, `\`Connect\` ends with ${limitReached}`),
    told: inLimits("max_offers_per_name"),
  }),
  maxWaitingOffers: (value) =>
    cap(
      `offers that wait for listeners of names that have none; together at most ${grouped(maxWaitingOfferBytes)} bytes`,
      value,
      `\`Connect\` ends with ${limitReached}`,
    ),
  maxStreams: (value) =>
    cap(
      "streams, offers included; four legs for each may be open, those that their endpoints have not read to the end among them",
      value,
      `\`Connect\` ends with ${limitReached}, where there are too many legs \`Accept\` too`,
    ),
  maxStreamsPerName: (value) =>
    cap("streams of one name, offers included", value, `\`Connect\` ends with ${limitReached}`),
  maxStreamsPerCaller: (value) =>
    cap(
      "streams that one caller has opened, offers included; and as many legs of its own that have ended, and that it has not read to the end",
      value,
      `\`Connect\` ends with ${limitReached}`,
    ),
  maxWaitingOffersPerCaller: (value) =>
    cap(
      "offers of one caller that wait for listeners of names that have none",
      value,
      `\`Connect\` ends with ${limitReached}`,
    ),
  maxWatchers: (value) =>
    cap(
      "calls of `Watch`, and as many that watch the health, and as many of the reflection service",
      value,
      `the call ends with ${limitReached}; one of the health service with \`resource_exhausted\` and no detail`,
    ),
  maxWatchersPerCaller: (value) =>
    cap(
      "calls of `Watch` of one caller, and as many of health and of reflection",
      value,
      `the call ends with ${limitReached}`,
    ),
  maxLinks: (value) =>
    cap(
      "links",
      value,
      `\`Receive\` ends with ${limitReached}; a WebSocket gets a \`reset\` with it in place of \`opened\``,
    ),
  maxLinksPerCaller: (value) => cap("links from one address", value, "as for all links"),
  maxConnectionsPerCaller: (value) =>
    cap("connections from one address to a port of the relay's own", value, "the connection is closed"),
  maxCalls: (value) =>
    cap("open RPCs, but for those on channels of links", value, `the call ends with ${limitReached}`),
  maxCallsPerCaller: (value) => cap("open RPCs from one address", value, `the call ends with ${limitReached}`),
  maxOpeningCalls: (value) =>
    cap(
      "calls, on channels too, whose first message has not come or whose answer is not read",
      value,
      `the call ends with ${limitReached}, or its stream or connection without a word`,
    ),
  maxOpeningCallsPerCaller: (value) => cap("the same from one address", value, "as for all such calls"),
  maxGatewayCalls: (value) =>
    cap("requests of HTTP and WebSockets under way in the gateway", value, "the answer is 503"),
  maxGatewayCallsPerCaller: (value) => cap("the same of one caller", value, "the answer is 429"),
  maxGatewayBodyBytes: (value) => ({
    ...unlimited("bytes of the body of a request to the gateway", value),
    beyond: "the answer is 413",
  }),
  maxCallsPerSecondPerCaller: (value) =>
    cap(
      "calls of `Listen`, `Connect`, `List`, `Watch`, `Renew` and of operators by one caller in a second, and those of any RPC whose token is none; ten times as many at once. Apart from them, as many of one caller that come back to streams and names, at once all that a caller may have; and as many links from one address that are opened, at once `maxLinksPerCaller`",
      value,
      `the call ends with ${limitReached}; a link as for all links`,
    ),
  maxHeldBytes: (value) => ({
    what: "bytes that wait in the relay to be read, of all streams, links and calls of the gateway together, but for those in the buffers of the operating system",
    value: bytes(value),
    beyond: `of the caller that holds most, what stands still and holds most ends with ${limitReached}, a stream with both of its legs, a link, or a call of the gateway, and so on until an eighth is free`,
    told: notTold,
  }),
  maxHeldBytesPerCaller: (value) => ({
    what: "the same for one caller: for those of its legs, streams, links and calls",
    value: bytes(value),
    beyond: "as for all callers together",
    told: notTold,
  }),
  maxBytesPerSecondPerStream: (value) =>
    unlimited("bytes that each endpoint of a stream sends in a second, and those of one second at once", value),
  maxBytesPerSecondPerCaller: (value) => unlimited("bytes that all streams of one caller bring in a second", value),
  maxAuthorizationsPerCaller: (value) =>
    cap("calls from one address that wait for the relay's policy", value, `the call ends with ${limitReached}`),
  maxAuthorizations: (value) =>
    cap("calls that wait for the relay's policy, where it has one", value, `the call ends with ${limitReached}`),
  maxChannelsPerLink: (value) => ({
    ...cap(
      "channels of one link; twice as many RPCs may run for it, those of channels that were reset among them",
      value,
      `the channel is reset with ${limitReached}`,
    ),
    told: "`LinkOpened.max_channels`",
  }),
  maxStreamsPerConnection: (value) => ({
    ...cap("calls of one HTTP/2 connection", value, "HTTP/2 refuses the call; libraries wait with it instead"),
    told: "HTTP/2's SETTINGS_MAX_CONCURRENT_STREAMS",
  }),
};

function unlimited(what: string, value: number): Omit<LimitRow, "enforcedBy"> {
  const beyond = "the relay reads them later, so that the sender waits";
  return { what, value: `none, said as ${grouped(value)}`, beyond, told: notTold };
}

function cap(what: string, value: number, beyond: string): Omit<LimitRow, "enforcedBy"> {
  return { what, value: grouped(value), beyond, told: notTold };
}
