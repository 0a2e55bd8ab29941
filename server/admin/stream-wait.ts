import { Side, Wait } from "../../gen/streamserver/v1/admin_pb.js";
import type { Lease } from "../relay/lease/lease.js";
import type { Role } from "../relay/stream/half.js";
import type { Splice } from "../relay/stream/splice.js";
import type { EndpointTrend } from "./endpoint-trend.js";

/**
 * An endpoint acknowledges within 25 ms and its network's round trip, and an application that reads grants credit as
 * soon. One that has not within 2 s stands still.
 */
export const standstillMs = 2_000;

export interface StreamWait {
  wait: Wait;
  waitsFor: Side;
  waitMs: number;
}

const noWait: StreamWait = { wait: Wait.UNSPECIFIED, waitsFor: Side.UNSPECIFIED, waitMs: 0 };

const sideOf = { client: Side.CLIENT, listener: Side.LISTENER } as const;
const peerRoleOf = { client: "listener", listener: "client" } as const;

/** The facts about a stream that say whom it waits for. */
export interface WaitFacts {
  splice: Splice;
  trends: Readonly<Record<Role, EndpointTrend>>;
  /** The lease of the stream's name; undefined if nobody listens on it. */
  lease: Lease | undefined;
  graceMs: number;
  nowMs: number;
}

/** Returns what a stream waits for: of two directions that stand still, the one that has done so longer. */
export function streamWait(facts: WaitFacts): StreamWait {
  const { splice, lease } = facts;
  if (splice.kind === "ended") return noWait;
  const away = (["client", "listener"] as const).map((role) => awayWait(facts, role)).find((wait) => wait !== noWait);
  if (away !== undefined) return away;
  if (splice.kind === "offered") {
    const wait = lease?.kind === "attached" ? Wait.ACCEPT : Wait.LISTEN;
    return { wait, waitsFor: Side.LISTENER, waitMs: splice.ageMs };
  }
  const [toListener, toClient] = [peerWait(facts, "client"), peerWait(facts, "listener")];
  return toClient.waitMs > toListener.waitMs ? toClient : toListener;
}

function awayWait({ splice, graceMs }: WaitFacts, role: Role): StreamWait {
  const half = splice[role];
  if (half.kind !== "detached") return noWait;
  return { wait: Wait.RETURN, waitsFor: sideOf[role], waitMs: graceMs - half.graceLeftMs };
}

/**
 * The wait of an endpoint for its peer. A peer that stands still as a whole takes no bytes, acknowledges nothing and
 * reads nothing, so what says most about the place of the fault comes first.
 */
function peerWait({ trends, nowMs }: WaitFacts, role: Role): StreamWait {
  const { heldBackSinceMs, unackedSinceMs, blockedSinceMs } = trends[role];
  const waits: [Wait, number | undefined][] = [
    [Wait.ROOM, heldBackSinceMs],
    [Wait.ACK, unackedSinceMs],
    [Wait.READ, blockedSinceMs],
  ];
  for (const [wait, sinceMs] of waits) {
    if (sinceMs === undefined || nowMs - sinceMs < standstillMs) continue;
    return { wait, waitsFor: sideOf[peerRoleOf[role]], waitMs: nowMs - sinceMs };
  }
  return noWait;
}
