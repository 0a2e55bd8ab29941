import type { Transport } from "@connectrpc/connect";
import { createRpcTransport } from "../../link/rpc-transport.js";
import type { Clock } from "../../stream/clock.js";
import type { StreamError } from "../../stream/stream-error.js";
import { noAnswer, takeFetchSlot } from "../page/fetch-slot.js";
import { fetchClient } from "./fetch-client.js";
import { openFetchLink } from "./fetch-link.js";
import { chooseLink, webSocketTimeoutMs } from "./link-choice.js";
import { createLinkTransport } from "./link-transport.js";
import type { OpenedLink } from "./opened-link.js";
import { sessionMemory } from "./session-memory.js";
import { openWebSocketLink } from "./websocket-link.js";

/** The best way to a relay from a page: a link over a WebSocket, or over fetch where none can be had. */
export async function openPageTransport(baseUrl: string, clock: Clock): Promise<Transport> {
  const carrier = createRpcTransport({ httpClient: fetchClient, baseUrl });
  const open = chooseLink(
    (signal) => openWebSocketLink(baseUrl, clock, webSocketTimeoutMs, signal),
    (signal) => openInSlot(baseUrl, (silence) => openFetchLink(carrier, clock, signal, silence)),
    sessionMemory(baseUrl),
  );
  return createLinkTransport(open, clock);
}

async function openInSlot(
  baseUrl: string,
  open: (silence: () => StreamError) => Promise<OpenedLink>,
): Promise<OpenedLink> {
  const release = await takeFetchSlot(baseUrl);
  try {
    const opened = await open(() => noAnswer(baseUrl, release !== undefined));
    void opened.link.closed.then(release);
    return opened;
  } catch (reason) {
    release?.();
    throw reason;
  }
}
