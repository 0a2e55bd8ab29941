import { Failure, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import type { LinkOpened } from "../../gen/streamserver/v1/link_pb.js";
import { Link } from "../../link/link.js";
import { LinkWatch } from "../../link/link-watch.js";
import { relayAt, relayLostError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";

/** The two ways to bring a link's packets: one WebSocket, or `Receive` and `Send`. */
export type LinkKind = "websocket" | "fetch";

/** A link that the relay has opened. Closing the link ends its WebSocket or its calls. */
export interface OpenedLink {
  kind: LinkKind;
  link: Link;
  watch: LinkWatch;
  /** Node: whether the process is to stay alive for the link's connections. At first it does. */
  hold?: ((isHeld: boolean) => void) | undefined;
}

/** A link whose page can say goodbye from outside of it. */
export interface LeavableLink extends OpenedLink {
  proof: Pick<LinkOpened, "linkId" | "linkToken">;
}

/**
 * Rejects with a `StreamError`, or with the signal's reason as soon as it is aborted. A link that may take the place of
 * the one it resolves with is handed to `onBetter`, as long as the latter is open.
 */
export type LinkOpener = (signal: AbortSignal, onBetter?: (better: OpenedLink) => void) => Promise<OpenedLink>;

/**
 * The client's end of a link, as the relay opened it; `relay` is what messages call the relay. Throws
 * FAILURE_PROTOCOL_VIOLATION for a link that could carry nothing.
 */
export function createLink(
  opened: LinkOpened,
  clock: Clock,
  relay = relayAt(),
  maxSentPacketBytes = opened.maxPacketBytes,
): Pick<LeavableLink, "link" | "watch" | "proof"> {
  const { linkId, linkToken, maxChannels, maxPacketBytes, maxBatchBytes, heartbeatIntervalMs } = opened;
  if (Math.min(maxChannels, maxPacketBytes, maxBatchBytes, heartbeatIntervalMs) === 0) {
    throw new StreamError("a limit of the link is zero", { failure: Failure.PROTOCOL_VIOLATION, hop: Hop.RELAY });
  }
  const link = new Link({
    maxChannels,
    maxPacketBytes,
    maxSentPacketBytes: Math.min(maxPacketBytes, maxBatchBytes, maxSentPacketBytes),
  });
  const silence = () => relayLostError(`${relay} is silent`);
  const watch = new LinkWatch(link, clock, heartbeatIntervalMs, silence);
  return { link, watch, proof: { linkId, linkToken } };
}
