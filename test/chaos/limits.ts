import type { RelayLimits } from "browser-stream-server/server";
import type { ChaosRelayOptions } from "./relay/chaos-relay.ts";

/** Two attempts that get no answer take 4 s and 8 s, and the third one comes soon after them. */
export const graceMs = 16_000;
/** The relay's heartbeat: a connection that is lost in silence is noticed two and a half times as late. */
export const heartbeatIntervalMs = 1_000;

/** The limits of relays under histories: short, so that histories are. */
export const limits: Partial<RelayLimits> = {
  heartbeatIntervalMs,
  graceMs,
};

/** A drained relay may take so long. Less than the grace period, so that streams outlive it. */
export const relayOptions: ChaosRelayOptions = { limits, drainTimeoutMs: 1_000 };
