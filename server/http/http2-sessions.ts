import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { Clock } from "../../stream/clock.js";
import { watchSession } from "../../web/node/http2-watch.js";
import type { RelayLimits } from "../relay/limits.js";
import type { NodeServer } from "./node-server.js";

/** Node's default of 64 KiB for a connection halves bulk throughput. */
const connectionWindowBytes = 4 * 1024 * 1024;
/** The same for each stream of a connection. */
const streamWindowBytes = 1024 * 1024;
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
