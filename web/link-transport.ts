import type { Transport } from "@connectrpc/connect";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import { createChannelClient } from "../link/channel-client.js";
import type { Link } from "../link/link.js";
import type { Clock } from "../stream/clock.js";
import { openFetchLink } from "./fetch-link.js";

/** How long a link without channels is kept for the next one. */
const defaultIdleTimeoutMs = 2_000;
/** A frame, and what is around it; the relay sends no larger messages. */
const readMaxBytes = 1_048_576;

/**
 * A transport for every kind of RPC, on the channels of one link. `carrier` need only do unary and server streaming. The link
 * is opened when it is first needed, closed when it has been idle, and opened anew after it broke.
 */
export function createLinkTransport(
  carrier: Transport,
  clock: Clock,
  idleTimeoutMs: number = defaultIdleTimeoutMs,
): Transport {
  let current: Promise<Link> | undefined;
  const openLink = (): Promise<Link> => {
    current ??= openFetchLink(carrier, clock).then(keepWhileUsed, (reason: unknown) => {
      current = undefined;
      throw reason;
    });
    return current;
  };
  const keepWhileUsed = (link: Link): Link => {
    let stopWaiting = () => {};
    link.onIdle = () => {
      stopWaiting();
      stopWaiting = clock.after(idleTimeoutMs, () => link.closeIfIdle());
    };
    // Whoever asked for the link may have given up while it was opened.
    link.onIdle();
    void link.closed.then(() => {
      stopWaiting();
      current = undefined;
    });
    return link;
  };
  return createTransport({
    httpClient: createChannelClient(openLink),
    baseUrl: "http://link",
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: Number.MAX_SAFE_INTEGER,
    readMaxBytes,
    writeMaxBytes: readMaxBytes,
  });
}
