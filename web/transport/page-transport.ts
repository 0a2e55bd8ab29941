import type { Transport } from "@connectrpc/connect";
import { createRpcTransport } from "../../link/rpc-transport.js";
import { relayAt } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { openFetchLink } from "../link/fetch-link.js";
import { beaconTo, withGoodbye } from "../link/goodbye.js";
import { chooseLink, webSocketTimeoutMs } from "../link/link-choice.js";
import { sessionMemory } from "../link/link-memory.js";
import type { LeavableLink } from "../link/opened-link.js";
import { openWebSocketLink } from "../link/websocket-link.js";
import { noAnswerError, takeFetchSlot } from "../page/fetch-slot.js";
import { fetchClient } from "./fetch-client.js";
import { createLinkTransport } from "./link-transport.js";
import { type RelayUrl, refuseCredentials } from "./relay-url.js";

/**
 * The best way to a relay from a page: a link over a WebSocket, or over fetch where none can be had. Rejects with
 * `invalid_argument` for a URL with a user or a password.
 */
export async function openPageTransport(url: RelayUrl, clock: Clock): Promise<Transport> {
  refuseCredentials(url);
  const baseUrl = url.href;
  const transport = createRpcTransport({ httpClient: fetchClient, baseUrl });
  const goodbye = beaconTo(baseUrl);
  const open = chooseLink({
    openWebSocket: withGoodbye(
      (signal) => openWebSocketLink(baseUrl, clock, webSocketTimeoutMs, signal),
      goodbye,
      clock,
    ),
    openFetch: withGoodbye(
      (signal) => openInSlot(baseUrl, (silence) => openFetchLink({ transport, url: baseUrl, silence }, clock, signal)),
      goodbye,
      clock,
    ),
    memory: sessionMemory(baseUrl),
    clock,
  });
  return createLinkTransport(open, clock, {}, relayAt(baseUrl));
}

async function openInSlot(
  baseUrl: string,
  open: (silence: () => StreamError) => Promise<LeavableLink>,
): Promise<LeavableLink> {
  const release = await takeFetchSlot(baseUrl);
  try {
    const opened = await open(() => noAnswerError(baseUrl, release !== undefined));
    void opened.link.closed.then(release);
    return opened;
  } catch (reason) {
    release?.();
    throw reason;
  }
}
