import { isOfRelay } from "../../link/failure-detail.js";
import { StreamError } from "../../stream/stream-error.js";
import type { LinkOpener, OpenedLink } from "./opened-link.js";

/** How long a WebSocket may take where there is another way: a fetch link is to be there within 3 s. */
export const webSocketTimeoutMs = 2_500;

/** Where a choice outlives what made it. */
export interface LinkMemory {
  prefersFetch: boolean;
}

/**
 * Opens WebSocket links, and where none can be had, fetch links; from then on fetch links at once, as far as the memory goes
 * and they can be had. A page that has had a WebSocket knows that they get through, and remembers no fetch link. Where neither
 * can be had, rejects with what stood in the fetch link's way.
 */
export function chooseLink(openWebSocket: LinkOpener, openFetch: LinkOpener, memory: LinkMemory): LinkOpener {
  let webSockets: "unknown" | "get through" = "unknown";
  const openBest = async (signal: AbortSignal): Promise<OpenedLink> => {
    try {
      const opened = await openWebSocket(signal);
      webSockets = "get through";
      return opened;
    } catch (reason) {
      // It would say so again.
      if (signal.aborted || isOfRelay(StreamError.from(reason).failure)) throw reason;
    }
    const opened = await openFetch(signal);
    if (webSockets === "unknown") memory.prefersFetch = true;
    return opened;
  };
  return async (signal) => {
    if (!memory.prefersFetch) return openBest(signal);
    try {
      return await openFetch(signal);
    } catch (reason) {
      if (signal.aborted) throw reason;
      memory.prefersFetch = false;
      return openBest(signal);
    }
  };
}
