import { constants, type Http2Server, type Http2Session, type ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "../../stream/platform/clock.js";
import { watchSession } from "../../web/node/http2-watch.js";
import type { Admission } from "../admission/admission.js";
import type { RelayLimits } from "../admission/limits.js";
import type { Warnings } from "../admission/warnings.js";
import type { NodeResponse, NodeServer } from "./node-server.js";
import { plainAddress, type TrustedProxies } from "./request/trusted-proxies.js";
import { SessionGuard } from "./session-guard.js";

/** Node's default of 64 KiB for a connection halves bulk throughput. */
const connectionWindowBytes = 4 * 1024 * 1024;
/** Node's default of 64 KiB for each stream halves bulk throughput as well. */
const streamWindowBytes = 1024 * 1024;

/** A connection is closed if it has brought no call after this many times `openTimeoutMs`. */
export const openTimeoutsUntilCall = 2;

/** The parts of the relay that supervision of its connections needs. */
export interface SupervisionInit {
  limits: RelayLimits;
  clock: Clock;
  warnings: Warnings;
  admission: Admission;
  proxies: TrustedProxies;
}

/** Widens the windows of a connection, and caps its streams where a number is given. */
export function widenWindows(session: ServerHttp2Session, maxConcurrentStreams?: number): void {
  session.setLocalWindowSize(connectionWindowBytes);
  session.settings({
    initialWindowSize: streamWindowBytes,
    ...(maxConcurrentStreams !== undefined && { maxConcurrentStreams }),
  });
}

/**
 * Widens the windows of each HTTP/2 connection, caps its streams, ends the dead ones, and cuts off those that flood the
 * relay. Does nothing on a server that has no HTTP/2. Returns what stops it.
 */
export function superviseSessions(server: NodeServer, init: SupervisionInit): () => void {
  const { limits, clock, admission, proxies } = init;
  const stops = new Set<() => void>();
  const onSession = (session: ServerHttp2Session) => {
    widenWindows(session, limits.maxStreamsPerConnection);
    const stop = () => {
      stopWatching();
      guard.stop();
      stops.delete(stop);
    };
    stops.add(stop);
    warnWhenFull(session, limits.maxStreamsPerConnection, admission);
    // `session.socket` refuses to be destroyed. The methods of the socket behind it return that socket.
    const socket = session.socket.once("close", stop);
    const stopWatching = watchSession(session, socket, clock, limits.heartbeatIntervalMs);
    const guard = new SessionGuard(session, socket, {
      clock,
      firstCallTimeoutMs: openTimeoutsUntilCall * limits.openTimeoutMs,
      isProxy: proxies.includes(plainAddress(socket.remoteAddress ?? "")),
      onFlood: (what) => warnOfFlood(socket, what, admission),
    });
  };
  (server as Http2Server).on("session", onSession);
  return () => {
    (server as Http2Server).off("session", onSession);
    for (const stop of [...stops]) stop();
  };
}

const retired = new WeakSet<Http2Session>();

/** Tells a client to open no more streams, and refuses none that are on their way. RFC 9113, section 6.8. */
const lastStreamId = 2 ** 31 - 1;

/**
 * Has the caller of an HTTP/2 request open another connection for its next calls; those under way go on, and so do
 * those that were begun before the caller hears of it. Does nothing for HTTP/1.1, and for a connection whose caller has
 * been told before.
 */
export function retireSession(response: NodeResponse): void {
  const session = "stream" in response ? response.stream.session : undefined;
  if (session === undefined || session.destroyed || retired.has(session)) return;
  retired.add(session);
  session.goaway(constants.NGHTTP2_NO_ERROR, lastStreamId);
}

function warnOfFlood({ remoteAddress }: Socket, what: string, admission: Admission): void {
  admission.cutOff(`a connection of HTTP/2 from ${remoteAddress} was cut off: its client sent ${what}`);
}

/** Node refuses the calls beyond the limit, or has the client wait with them, and tells nobody. */
function warnWhenFull(session: ServerHttp2Session, maxStreams: number, admission: Admission): void {
  let streams = 0;
  const onClosed = () => {
    streams -= 1;
  };
  session.on("stream", (stream) => {
    streams += 1;
    stream.on("close", onClosed);
    if (streams < maxStreams) return;
    admission.full("maxStreamsPerConnection", `a connection of HTTP/2 has ${maxStreams} calls open`);
  });
}
