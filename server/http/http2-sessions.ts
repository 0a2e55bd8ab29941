import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { heartbeatsUntilLost } from "../../link/link-watch.js";
import type { Clock } from "../../stream/clock.js";
import type { RelayLimits } from "../relay/limits.js";
import { atIntervals } from "./at-intervals.js";
import type { NodeServer } from "./node-server.js";

/** Node's default of 64 KiB for a connection halves bulk throughput. */
const connectionWindowBytes = 4 * 1024 * 1024;
/** The same for each stream of a connection. */
const streamWindowBytes = 1024 * 1024;
/** What is heard is seen so often, and silence that lasts too long is noticed so late. */
const looksPerHeartbeat = 2;
/**
 * For a peer that takes nothing either: until the kernel has what was written, which may be all that the windows let out, Node
 * reads nothing. 15 MB, as much as browsers ask for, take 150 s at 100 KB/s.
 */
export const heartbeatsUntilLostWhenBlocked = 10;

/**
 * Widens the windows of each HTTP/2 connection, caps its streams, and ends the dead ones. Does nothing on a server that has no
 * HTTP/2. Returns what stops it.
 */
export function superviseSessions(server: NodeServer, limits: RelayLimits, clock: Clock): () => void {
  const stops = new Set<() => void>();
  const onSession = (session: ServerHttp2Session) => {
    session.setLocalWindowSize(connectionWindowBytes);
    session.settings({
      initialWindowSize: streamWindowBytes,
      maxConcurrentStreams: limits.maxStreamsPerConnection,
    });
    const stop = () => {
      stopWatching();
      stops.delete(stop);
    };
    stops.add(stop);
    // A session keeps its socket from being destroyed. What the socket's own methods return is the socket.
    const socket = session.socket.once("close", stop);
    const stopWatching = watchSession(session, socket, clock, limits.heartbeatIntervalMs);
  };
  (server as Http2Server).on("session", onSession);
  return () => {
    (server as Http2Server).off("session", onSession);
    for (const stop of [...stops]) stop();
  };
}

/**
 * Asks the peer in each heartbeat whether it is there, and ends the connection when nothing at all is heard: on a slow network
 * an answer waits behind what was sent before. Returns what stops it.
 */
function watchSession(
  session: ServerHttp2Session,
  socket: Socket,
  clock: Clock,
  heartbeatIntervalMs: number,
): () => void {
  let heardBytes = socket.bytesRead;
  let silentLooks = 0;
  let looks = 0;
  let wasBlocked = false;
  return atIntervals(clock, heartbeatIntervalMs / looksPerHeartbeat, () => {
    // Once the session has ended nothing counts: its peer is to close the connection, and may leave it half open.
    const isHeard = socket.bytesRead > heardBytes && !session.destroyed;
    heardBytes = socket.bytesRead;
    // Then what was asked waits behind what the kernel has not taken. Once it is out, the peer has taken something.
    const isBlocked = (session.state.outboundQueueSize ?? 0) > 0;
    silentLooks = isHeard || (wasBlocked && !isBlocked) ? 0 : silentLooks + 1;
    wasBlocked = isBlocked;
    looks += 1;
    const heartbeats = isBlocked ? heartbeatsUntilLostWhenBlocked : heartbeatsUntilLost;
    if (silentLooks >= heartbeats * looksPerHeartbeat) {
      session.destroy();
      socket.destroy();
    } else if (looks % looksPerHeartbeat === 0 && !session.destroyed) ask(session);
  });
}

/** The answer is something heard. After a goodbye of either side Node sends no PING, but streams that are open go on. */
function ask(session: ServerHttp2Session): void {
  if (!session.closed) session.ping(() => {});
  else if (!session.pendingSettingsAck) session.settings({});
}
