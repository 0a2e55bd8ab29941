import type { Http2Server, ServerHttp2Session } from "node:http2";
import type { NodeServer } from "./node-server.js";

/** Node's default of 64 KiB for a connection halves bulk throughput. */
export const connectionWindowBytes = 4 * 1024 * 1024;
/** The same for each stream of a connection; it goes into the server's `settings.initialWindowSize`. */
export const streamWindowBytes = 1024 * 1024;

/**
 * Widens the window of each HTTP/2 connection and finds the dead ones: a PING at intervals, and the end if it is not answered
 * before the next one. Does nothing on a server that has no HTTP/2. Returns what stops it.
 */
export function superviseSessions(server: NodeServer, pingIntervalMs: number): () => void {
  const stops = new Set<() => void>();
  const onSession = (session: ServerHttp2Session) => {
    session.setLocalWindowSize(connectionWindowBytes);
    let unanswered = false;
    const timer = setInterval(() => {
      if (unanswered) return session.destroy();
      unanswered = true;
      session.ping(() => {
        unanswered = false;
      });
    }, pingIntervalMs);
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
