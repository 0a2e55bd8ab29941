import { Code, type Transport } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { LinkService, type ReceiveResponse } from "../../gen/streamserver/v1/link_pb.js";
import type { Link } from "../../link/link.js";
import type { LinkWatch } from "../../link/link-watch.js";
import { only } from "../../link/rpc-transport.js";
import { callError, fromConnectError, relayAt, relayLostError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { noAnswerError } from "../page/fetch-slot.js";
import { BatchSender, maxSentPacketBytes, type Send } from "./batch-sender.js";
import { createLink, type LeavableLink } from "./opened-link.js";
import { callStream, callUnary } from "./rpc-call.js";

const openTimeoutMs = 10_000;

/** A transport that can do unary and server streaming, and what is known of the relay behind it. */
export interface FetchLinkInit {
  transport: Transport;
  /** Where the relay is, for messages. */
  url?: string;
  /** Why the relay does not answer. Default {@link noAnswerError}. */
  silence?: () => StreamError;
  hold?: LeavableLink["hold"];
}

/**
 * Opens a link over a transport that can do unary and server streaming: one `Receive`, and `Send`s beside it. The link
 * ends by itself when `Receive` does, or when the relay goes silent. Rejects with a `StreamError`:
 *
 * - what the relay said, or FAILURE_LEG_LOST of HOP_RELAY if it cannot be reached;
 * - that of `silence` if the relay does not answer in 10 s;
 * - the signal's reason when it is aborted before.
 */
export async function openFetchLink(
  { transport, url, silence = () => noAnswerError(url), hold }: FetchLinkInit,
  clock: Clock,
  opening?: AbortSignal,
): Promise<LeavableLink> {
  opening?.throwIfAborted();
  const relay = relayAt(url);
  const { receive, send } = LinkService.method;
  const abort = new AbortController();
  const { signal } = abort;
  const cancelDeadline = clock.after(openTimeoutMs, () => abort.abort(silence()));
  const onAbort = () => abort.abort(opening?.reason);
  opening?.addEventListener("abort", onAbort, { once: true });
  try {
    const responses = callStream(transport, receive, only({}), { signal, timeoutMs: 0 });
    const first = await responses.next();
    const opened = first.value?.opened;
    if (opened === undefined) throw relayLostError(`${relay} opened no link`);
    const { link, watch, proof } = createLink(opened, clock, relay, maxSentPacketBytes);
    void link.closed.then((reason) => abort.abort(reason));
    void receiveAll(link, responses, watch, relay);
    const sendBatch: Send = (batch, timeoutMs) => callUnary(transport, send, batch, { timeoutMs, signal });
    const mayLackConnection = silence().failure === Failure.LIMIT_REACHED;
    void new BatchSender(link, clock, sendBatch, Math.random).run(opened, mayLackConnection, relay);
    return { kind: "fetch", link, watch, proof, hold };
  } catch (reason) {
    if (signal.aborted) throw signal.reason;
    abort.abort();
    throw openError(reason, relay);
  } finally {
    cancelDeadline();
    opening?.removeEventListener("abort", onAbort);
  }
}

async function receiveAll(
  link: Link,
  responses: AsyncIterator<ReceiveResponse>,
  watch: LinkWatch,
  relay: string,
): Promise<void> {
  try {
    for (;;) {
      const { done, value } = await responses.next();
      if (done) break;
      watch.heard();
      const { packets } = value;
      // A transport of Connect 2.3.0 holds every response until the call ends, which is as long as the link lasts.
      value.packets = [];
      for (const packet of packets) link.receive(packet);
    }
    link.close(relayLostError(`${relay} ended the link`));
  } catch (reason) {
    link.close(callError(reason, relay, true));
  }
}

/** A request that got no answer is `unknown` for RPC libraries; a browser does not say why it got none. */
function openError(reason: unknown, relay: string): StreamError {
  const { code, failure, message } = fromConnectError(reason);
  if (globalThis.location === undefined || code !== Code.Unknown || failure !== Failure.UNSPECIFIED) {
    return callError(reason, relay);
  }
  return relayLostError(
    `${relay} cannot be reached: is it running, and does it let this page's origin in? (${message})`,
    reason,
  );
}
