import type { RelayLimits } from "../../server/admission/limits.js";

/** The reason for each default, in the order of the page. */
export const limitReasons: Record<keyof RelayLimits, string> = {
  maxNames: "A name takes 35 to 45 KiB of memory with its connection, so 10,000 of them take 0.4 GiB.",
  maxNamesPerCaller:
    "A tenth of all names, so that nine others like it still find room. A page has one name, or a few.",
  maxStreams:
    "An idle stream takes 15 to 24 KiB of memory, so 10,000 of them take 0.25 GiB. One whose reader is slow takes up to 1.1 MiB, within `maxHeldBytes`: [the sum](operate.md#sizing).",
  maxStreamsPerName:
    "As many as there may be streams, because one listener may serve everybody. Set it where listeners are many.",
  maxStreamsPerCaller:
    "A tenth of all streams. A client of a gateway may have hundreds, a page a few. If it reads nothing of them, `maxHeldBytesPerCaller` bounds what they take.",
  maxOffersPerName: "A listener takes an offer in milliseconds; 128 that wait are a listener that does not keep up.",
  maxWaitingOffers: "A tenth of the streams, so that clients which wait leave room for those that have a listener.",
  maxWaitingOffersPerCaller:
    "A tenth of all that wait. Waiting costs a client nothing, so it is the cheapest place to fill.",
  maxLinks: "A tab has one, and each takes a file descriptor.",
  maxLinksPerCaller:
    "A tenth of all links. An office behind one address has a tab for each person; a school may need more.",
  maxConnectionsPerCaller: "As many as links, of which each takes one. A trusted proxy may have any number.",
  maxCalls:
    "The other limits allow 40,000 legs, 10,000 names, 10,000 links and 3,000 calls that watch or ask for types at once, which is 63,000. Raise it with them. Those that hold nothing have a limit of their own, `maxOpeningCalls`.",
  maxCallsPerCaller:
    "Half of all calls. A proxy that is not trusted brings the calls of all its callers from one address: 10,000 streams have 20,000 legs, beside 10,000 names.",
  maxOpeningCalls:
    "A call that says nothing takes 8 to 44 KiB of memory and has a head of 16 KiB at most, so 6,000 of them take 0.35 GiB of the 0.75 GiB that `npm start` gives. A call of a client that has something to say opens within a round trip, often within one turn.",
  maxOpeningCallsPerCaller:
    "A sixth of all, so that one address leaves room for others; they take 60 MiB. A proxy that is not trusted brings those of all its callers, of which each opens within a round trip.",
  maxChannelsPerLink: "Each stream and each name of a tab is a channel, for which the relay may hold 256 KiB each way.",
  maxStreamsPerConnection:
    "A program with more streams opens a second connection, as libraries of HTTP/2 do by themselves.",
  maxWatchers: "Each is told of every name that comes and goes.",
  maxWatchersPerCaller: "A tenth of all that watch. A dashboard has one call, and so has each tab with it.",
  maxCallsPerSecondPerCaller:
    "A hundred pairings in a second are more than a person makes, and a tenth of the 860 to 3,000 that one core can do. A page that is loaded may make ten times as many at once. All that one caller may have comes back at once when its network was away, or when the relay was started again: `maxStreams`, `maxStreamsPerCaller` and `maxNamesPerCaller` together; so do all tabs of an office, each with its link.",
  maxGatewayCalls:
    "As many as streams. A call whose caller reads slowly holds up to 1 MiB of its answer, and one that reads holds nothing.",
  maxGatewayCallsPerCaller: "A tenth of all. A browser makes six at once over HTTP/1.1, and a hundred over HTTP/2.",
  maxGatewayBodyBytes: "Off: bodies are streamed, and nothing is kept of them. Set it where uploads are abuse.",
  maxAuthorizations: "A policy that takes 10 ms for an answer is asked 100,000 times in a second at most.",
  maxAuthorizationsPerCaller: "A tenth of all, so that one address does not keep the policy busy for all others.",
  authorizeTimeoutMs:
    "A policy that asks a database answers in milliseconds; a caller waits no longer than for a listener.",
  maxStreamAgeMs: "Off: a stream may live as long as both endpoints want it to.",
  maxStreamIdleMs: "Off: silence is no fault, and an endpoint that is gone is noticed by the heartbeat.",
  maxHeldBytes:
    "Half a GiB in buffers that may be four times as large takes 2 GiB of the 3 GiB that the container and the service have, beside 0.75 GiB for names, streams and calls: [the sum](operate.md#sizing). It is what 500 readers leave that read nothing at all.",
  maxHeldBytesPerCaller: "Half of all, so that one caller does not have the streams of others ended.",
  maxBytesPerSecondPerStream: "Off: the endpoints' own credit holds back whoever sends more than its peer reads.",
  maxBytesPerSecondPerCaller: "Off: a relay that is full slows all streams alike. Set it where one caller must not.",
  maxNameBytes: "A name fits into a line, and 1,000 of them into an answer of `List`.",
  maxMetadataBytes: "The usual limit of an HTTP header. More belongs into the first message.",
  maxFrameBytes: "Three messages of 64 KiB fit in. A larger frame delays the frames of other streams behind it.",
  acceptTimeoutMs: "A person who is asked needs longer: then accept at once, and ask on the stream.",
  openTimeoutMs: "A caller on a slow network needs a second. Whoever sends nothing holds a call for nothing.",
  gatewayTimeoutMs:
    "A server behind a name answers for a handler that is slow after 60 s, and a caller that waits a little longer gets that answer. A call of gRPC or Connect has the deadline of its caller instead.",
  lingerTimeoutMs: "The last acks of a slow network come within seconds.",
  graceMs:
    "A phone that changes its network, a laptop that is opened again, and a relay that is started again are back by then.",
  heartbeatIntervalMs: "Proxies close what is silent, the strictest after 30 s.",
};
