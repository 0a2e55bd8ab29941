import type { RelayLimits } from "browser-stream-server/server";
import type { ChaosRelayOptions } from "./chaos-relay.ts";

/** The relay keeps what has no leg so long. Long enough for a busy machine, short enough for a test. */
export const graceMs = 8_000;
/** The relay's heartbeat: a connection that is lost in silence is noticed two and a half times as late. */
export const heartbeatIntervalMs = 500;

/** The limits of relays under histories: short, so that histories are. */
export const limits: Partial<RelayLimits> = {
  heartbeatIntervalMs,
  lingerTimeoutMs: 2_000,
  graceMs,
};

/** A drained relay may take so long. Less than the grace period, so that streams outlive it. */
export const relayOptions: ChaosRelayOptions = { limits, drainTimeoutMs: 1_000 };
