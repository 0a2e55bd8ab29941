import { idleTimeoutMs as reflectionIdleTimeoutMs } from "../../../http/service/reflection-routes.js";
import { heartbeatsUntilLost } from "../../../link/link-watch.js";
import { goodbyeTimeoutMs } from "../../../link/packet/link-message.js";
import { defaultLimits } from "../../../server/admission/limits.js";
import { openTimeoutsUntilCall } from "../../../server/http/http2-sessions.js";
import { closeTimeoutMs } from "../../../server/http/open-responses.js";
import { openTimeoutsWithoutCall } from "../../../server/link/links.js";
import { defaultDrainTimeoutMs } from "../../../server/proxy-options.js";
import { maxAckDelayMs, overtakeTimeoutMs } from "../../../web/api/attacher.js";
import { patienceMs, webSocketTimeoutMs } from "../../../web/link/link-choice.js";
import { heartbeatsUntilLostWhenBlocked } from "../../../web/node/http2-watch.js";
import { maxAttemptTimeoutMs, maxBackoffMs, minBackoffMs } from "../../../web/transport/way-back.js";
import { defaultOpenTimeoutMs } from "../../../web/transport/websocket-transport.js";
import { inLimits, type LimitRow, ms, notTold, type RelayRows } from "./limit-row.js";

const silenceMs = heartbeatsUntilLost * defaultLimits.heartbeatIntervalMs;

/** Deadlines that the operator of the relay may set. */
export const relayDeadlines: RelayRows = {
  openTimeoutMs: (value) => ({
    what: "the first message of `Connect` and `Accept`",
    value: ms(value),
    beyond: "the call ends with `FAILURE_PROTOCOL_VIOLATION`, code `deadline_exceeded`",
    told: notTold,
  }),
  gatewayTimeoutMs: (value) => ({
    what: "the head of an answer to a request that came to the gateway",
    value: ms(value),
    beyond: "the answer is 504",
    told: notTold,
  }),
  authorizeTimeoutMs: (value) => ({
    what: "the relay's policy, where it has one, says whether a caller may listen, connect or list",
    value: ms(value),
    beyond: "the call ends with `FAILURE_NOT_PERMITTED`, code `unavailable`",
    told: notTold,
  }),
  maxStreamAgeMs: (value) => ({
    what: "the age of a stream",
    value: `none, said as ${ms(value)}`,
    beyond: "both calls end with `FAILURE_LIMIT_REACHED`",
    told: notTold,
  }),
  maxStreamIdleMs: (value) => ({
    what: "the time without a frame, either way, on a stream that was accepted",
    value: `none, said as ${ms(value)}`,
    beyond: "both calls end with `FAILURE_LIMIT_REACHED`",
    told: notTold,
  }),
  acceptTimeoutMs: (value) => ({
    what: "an offer waits for `Accept` or `Reject`",
    value: ms(value),
    beyond: "`Connect` ends with `FAILURE_NOT_ACCEPTED_IN_TIME`; the listener hears `Withdrawn`",
    told: `${inLimits("accept_timeout_ms")}; \`Offer.accept_timeout_ms\``,
  }),
  lingerTimeoutMs: (value) => ({
    what: "from the last frame, once both endpoints have sent fin, until both have ended their requests",
    value: ms(value),
    beyond: "both calls end without an error",
    told: inLimits("linger_timeout_ms"),
  }),
  graceMs: (value) => ({
    what: "a name waits for a listener whose `Listen` broke, if the listener named `FEATURE_RESUME`",
    value: ms(value),
    beyond: "the lease ends; clients that wait are told `FAILURE_LISTENER_GONE`",
    told: inLimits("grace_ms"),
  }),
  heartbeatIntervalMs: (value) => ({
    what: "silence of the relay on `Listen`, `Watch` and `Receive`; pings of the relay's on links, WebSockets and HTTP/2",
    value: ms(value),
    beyond:
      "the relay sends `Ping`, on a link `ping`, on a WebSocket a ping of RFC 6455 too, on an HTTP/2 connection a PING",
    told: "`Registered.heartbeat_interval_ms`, `Opened.heartbeat_interval_ms`, `LinkOpened.heartbeat_interval_ms`",
  }),
};

/** Deadlines that are the same for every relay. */
export const fixedDeadlines: LimitRow[] = [
  {
    what: "silence of a listener's relay, of either end of a link, and of either end of an HTTP/2 connection",
    value: `${heartbeatsUntilLost} heartbeats: ${ms(silenceMs)}; ${heartbeatsUntilLostWhenBlocked} for an HTTP/2 connection on which nothing can be sent either`,
    enforcedBy: "whoever hears nothing",
    beyond:
      "the call or the link is taken for lost; the relay ends a silent link with `FAILURE_LEG_LOST`; an HTTP/2 connection is closed, up to half a heartbeat later",
    told: "`Registered.heartbeat_interval_ms`, `Opened.heartbeat_interval_ms`, `LinkOpened.heartbeat_interval_ms`",
  },
  {
    what: "the ack of a fin waits for the application to have read to the end, where the endpoint has it wait",
    value: "half of `Limits.linger_timeout_ms`",
    enforcedBy: "the endpoint",
    beyond: "the fin is acknowledged all the same",
    told: notTold,
  },
  {
    what: "an ack waits for a frame that it can go along with",
    value: ms(maxAckDelayMs),
    enforcedBy: "the endpoint that receives, if it names `FEATURE_RESUME`",
    beyond: "the ack has a frame of its own",
    told: notTold,
  },
  {
    what: "the wait before a leg, or a `Listen`, that broke is tried again",
    value: `random, up to ${ms(minBackoffMs)} the first time, twice as much each further time, up to ${ms(maxBackoffMs)}`,
    enforcedBy: "the endpoint, or the listener",
    beyond: "",
    told: notTold,
  },
  {
    what: "from an `Open` to `opened`, a connection to the relay included",
    value: ms(maxAttemptTimeoutMs),
    enforcedBy: "the endpoint",
    beyond: "the leg broke",
    told: notTold,
  },
  {
    what: "from a `reset` of an endpoint that names `FEATURE_RESUME` to the end of its call",
    value: ms(overtakeTimeoutMs),
    enforcedBy: "the endpoint",
    beyond: "it calls `Reject`",
    told: notTold,
  },
  {
    what: "from the request for a WebSocket to `opened`",
    value: `${ms(defaultOpenTimeoutMs)}; ${ms(webSocketTimeoutMs)} where a link over \`Receive\` and \`Send\` can take its place, which is asked for after ${ms(patienceMs)}`,
    enforcedBy: "the client, if it is this project's own",
    beyond: "it closes the WebSocket",
    told: notTold,
  },
  {
    what: "from the end of a `Receive`, or from a WebSocket's close code 1001, to the goodbye of the link",
    value: ms(goodbyeTimeoutMs),
    enforcedBy: "the relay",
    beyond: "the link was cut, and ends",
    told: notTold,
  },
  {
    what: "the answer to a close frame of the relay's; the end of a `Receive` or `Listen` whose link or lease is over, and of every call when the relay goes away",
    value: ms(closeTimeoutMs),
    enforcedBy: "the relay",
    beyond: "the connection is cut, or the call's stream of an HTTP/2 connection",
    told: notTold,
  },
  {
    what: "the streams of a relay that leaves; meanwhile it refuses new names, streams and links with `FAILURE_DRAINING`",
    value: ms(defaultDrainTimeoutMs),
    enforcedBy: "the relay, unless its operator sets another time",
    beyond: "every call ends with `FAILURE_DRAINING`",
    told: notTold,
  },
  {
    what: "the first bytes of a connection without TLS, by which HTTP/1.1 and HTTP/2 are told apart; the handshake of TLS; the head of a request of HTTP/1.1",
    value: `${ms(defaultLimits.openTimeoutMs)}; seen to twice in this time`,
    enforcedBy: "the relay, as `openTimeoutMs`, where it has a port of its own",
    beyond: "the connection is closed",
    told: notTold,
  },
  {
    what: "the first call of an HTTP/2 connection; then, while no call is open, the answer to a PING of the relay's",
    value: ms(openTimeoutsUntilCall * defaultLimits.openTimeoutMs),
    enforcedBy: "the relay, as a multiple of `openTimeoutMs`",
    beyond: "the connection is closed",
    told: notTold,
  },
  {
    what: "the first call of a link, and the next one when none is open any more, where the relay has a policy",
    value: ms(openTimeoutsWithoutCall * defaultLimits.openTimeoutMs),
    enforcedBy: "the relay, as a multiple of `openTimeoutMs`",
    beyond: "the link ends with `FAILURE_LEG_LOST`",
    told: notTold,
  },
  {
    what: "the next request of a call of the reflection service",
    value: ms(reflectionIdleTimeoutMs),
    enforcedBy: "the relay",
    beyond: "the call ends with `deadline_exceeded`",
    told: notTold,
  },
];
