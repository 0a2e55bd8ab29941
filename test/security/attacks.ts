import type { RelayLimits } from "browser-stream-server/server";
import type { Attack, Extent } from "./attack.ts";
import { bombs } from "./attacks/bombs.ts";
import { http2Floods, rapidReset } from "./attacks/http2-floods.ts";
import { manyCallers } from "./attacks/many-callers.ts";
import { mutants } from "./attacks/mutants.ts";
import { pairings, policySecret } from "./attacks/pairings.ts";
import { slowCallers, slowSecureCallers } from "./attacks/slow-callers.ts";
import { slowReaders, smallHeldBytes, vanishing } from "./attacks/vanishing.ts";
import { webSocketFloods } from "./attacks/websocket-floods.ts";

/** Attacks that one relay lives through, one after the other. */
export interface AttackGroup {
  name: string;
  attacks: readonly Attack[];
  /** Limits of the relay that differ from the defaults. The gate has no time to wait for long deadlines. */
  limits?: Record<Extent, Partial<RelayLimits>>;
  /** Whether the relay's port speaks TLS. */
  isSecure?: boolean;
  /** Whether operators are served, and everybody is one. */
  servesAdmin?: boolean;
  /** The secret of the tokens that callers need. Undefined: they need none. */
  secret?: string;
}

/** The deadlines of connections and requests follow this limit. */
const quickDeadlines = { short: { openTimeoutMs: 500 }, long: {} };

/** The deadlines of calls that were begun and not gone on with, and of names and streams whose callers are gone. */
const quickEnds = { openTimeoutMs: 2_000, acceptTimeoutMs: 4_000, lingerTimeoutMs: 2_000, graceMs: 1_500 };

const littleRoom = { short: { maxHeldBytes: smallHeldBytes }, long: { maxHeldBytes: smallHeldBytes } };

/** 10,000 names and their links are the defaults, and others have names too. */
const roomForMany = { maxNames: 12_000, maxLinks: 12_000 };

/** All attacks, in the order of the report. */
export const groups: readonly AttackGroup[] = [
  { name: "frames of HTTP/2", attacks: http2Floods },
  { name: "frames of WebSockets and packets of links", attacks: webSocketFloods },
  { name: "requests that are too large", attacks: bombs },
  {
    name: "messages that are not quite right",
    attacks: mutants,
    limits: { short: quickEnds, long: quickEnds },
    servesAdmin: true,
  },
  { name: "callers that vanish, or do not read", attacks: vanishing },
  { name: "callers that do not read, at a relay with little room", attacks: slowReaders, limits: littleRoom },
  {
    name: "callers that are too slow",
    attacks: slowCallers,
    limits: quickDeadlines,
  },
  {
    name: "callers of a port with TLS",
    attacks: [{ ...rapidReset, name: "rapid reset over TLS", bare: undefined }, ...slowSecureCallers],
    limits: quickDeadlines,
    isSecure: true,
  },
  { name: "callers with access tokens", attacks: pairings, secret: policySecret },
  { name: "callers that are many", attacks: manyCallers, limits: { short: roomForMany, long: roomForMany } },
];
