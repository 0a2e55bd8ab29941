import type { Http2Session } from "node:http2";
import type { Socket } from "node:net";
import { atIntervals } from "../../link/at-intervals.js";
import { heartbeatsUntilLost } from "../../link/link-watch.js";
import type { Clock } from "../../stream/platform/clock.js";

/** The socket's byte count is read twice per heartbeat, so silence is noticed at most half a heartbeat late. */
const looksPerHeartbeat = 2;
/**
 * The silence that a peer may keep while it takes nothing: until the kernel has what was written, which may be all that
 * the windows let out, Node reads nothing. 15 MB, as much as browsers ask for, take 150 s at 100 KB/s.
 */
export const heartbeatsUntilLostWhenBlocked = 10;

/**
 * Sends a PING in each heartbeat, and destroys the connection when nothing at all was heard for {@link
 * heartbeatsUntilLost}. Any byte counts, because on a slow network the answer to a PING waits behind what was sent
 * before. Either end of a connection uses it. Returns what stops the watch.
 *
 * - `socket`: the session's own, which refuses to be destroyed through `session.socket`.
 * - `silence`: the error that the session's calls end with. Default none.
 */
export function watchSession(
  session: Http2Session,
  socket: Socket,
  clock: Clock,
  heartbeatIntervalMs: number,
  silence: () => Error | undefined = () => undefined,
): () => void {
  let heardBytes = socket.bytesRead;
  let silentLooks = 0;
  let looks = 0;
  let wasBlocked = false;
  const look = () => {
    // Bytes that come after the session's end count for nothing: its peer may leave the connection half open.
    const isHeard = socket.bytesRead > heardBytes && !session.destroyed;
    heardBytes = socket.bytesRead;
    // A PING waits behind what the kernel has not taken. Once that is out, the peer has taken something.
    const isBlocked = (session.state.outboundQueueSize ?? 0) > 0;
    silentLooks = isHeard || (wasBlocked && !isBlocked) ? 0 : silentLooks + 1;
    wasBlocked = isBlocked;
    looks += 1;
    const heartbeats = isBlocked ? heartbeatsUntilLostWhenBlocked : heartbeatsUntilLost;
    if (silentLooks >= heartbeats * looksPerHeartbeat) {
      session.destroy(silence());
      socket.destroy();
    } else if (looks % looksPerHeartbeat === 0 && !session.destroyed) ask(session);
  };
  return atIntervals(clock, heartbeatIntervalMs / looksPerHeartbeat, look);
}

/**
 * The answer is something heard. After a goodbye of either side Node sends no PING, but streams that are open go on.
 */
function ask(session: Http2Session): void {
  if (!session.closed) session.ping(() => {});
  else if (!session.pendingSettingsAck) session.settings({});
}
