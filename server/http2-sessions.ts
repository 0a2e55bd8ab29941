import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { RelayLimits } from "./limits.js";
import type { NodeServer } from "./node-server.js";

/** Node's default of 64 KiB for a connection halves bulk throughput. */
const connectionWindowBytes = 4 * 1024 * 1024;
/** The same for each stream of a connection. */
const streamWindowBytes = 1024 * 1024;

/**
 * Widens the windows of each HTTP/2 connection, caps its streams, and finds the dead ones: a PING at intervals, and the end if
 * it is not answered before the next one. Does nothing on a server that has no HTTP/2. Returns what stops it.
 */
export function superviseSessions(server: NodeServer, limits: RelayLimits): () => void {
  const stops = new Set<() => void>();
  const onSession = (session: ServerHttp2Session) => {
    session.setLocalWindowSize(connectionWindowBytes);
    session.settings({
      initialWindowSize: streamWindowBytes,
      maxConcurrentStreams: limits.maxStreamsPerConnection,
    });
    let unanswered = false;
    const timer = setInterval(() => {
      if (unanswered) return session.destroy();
      unanswered = true;
      session.ping(() => {
        unanswered = false;
      });
    }, limits.heartbeatIntervalMs);
    const stop = () => {
      clearInterval(timer);
      stops.delete(stop);
    };
    stops.add(stop);
    session.once("close", stop);
  };
  (server as Http2Server).on("session", onSession);
  return () => {
    (server as Http2Server).off("session", onSession);
    for (const stop of [...stops]) stop();
  };
}
