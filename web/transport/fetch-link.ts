import { Code, createClient, type Transport } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { LinkService, type ReceiveResponse } from "../../gen/streamserver/v1/link_pb.js";
import { fromConnectError, relayLost } from "../../link/failure-detail.js";
import type { Link } from "../../link/link.js";
import type { LinkWatch } from "../../link/link-watch.js";
import type { Clock } from "../../stream/clock.js";
import { StreamError } from "../../stream/stream-error.js";
import { noAnswer } from "../page/fetch-slot.js";
import { BatchSender, maxSentPacketBytes, type Send } from "./batch-sender.js";
import { createLinkTransport } from "./link-transport.js";
import { createLink, type OpenedLink } from "./opened-link.js";

const openTimeoutMs = 10_000;

/**
 * Opens a link over a transport that can do unary and server streaming: one `Receive`, and `Send`s beside it. Rejects with a
 * `StreamError` if it cannot be had, with that of `silence` if the relay does not answer, and with the signal's reason when it is
 * aborted before. The link ends by itself when `Receive` does, or when the relay goes silent.
 */
export async function openFetchLink(
  carrier: Transport,
  clock: Clock,
  opening?: AbortSignal,
  silence: () => StreamError = noAnswer,
): Promise<OpenedLink> {
  opening?.throwIfAborted();
  const client = createClient(LinkService, carrier);
  const abort = new AbortController();
  const { signal } = abort;
  const cancelDeadline = clock.after(openTimeoutMs, () => abort.abort(silence()));
  const onAbort = () => abort.abort(opening?.reason);
  opening?.addEventListener("abort", onAbort, { once: true });
  try {
    const responses = client.receive({}, { signal, timeoutMs: 0 })[Symbol.asyncIterator]();
    const first = await responses.next();
    const opened = first.value?.opened;
    if (opened === undefined) throw new StreamError("the relay opened no link");
    const { link, watch } = createLink(opened, clock, maxSentPacketBytes);
    void link.closed.then((reason) => abort.abort(reason));
    void receiveAll(link, responses, watch);
    const send: Send = (batch, timeoutMs) => client.send(batch, { timeoutMs, signal });
    void new BatchSender(link, clock, send, Math.random).run(opened);
    return { kind: "fetch", link, watch };
  } catch (reason) {
    if (signal.aborted) throw signal.reason;
    abort.abort();
    throw openError(reason);
  } finally {
    cancelDeadline();
    opening?.removeEventListener("abort", onAbort);
  }
}

/** A transport for every kind of RPC, on links over one that can do unary and server streaming. */
export function createFetchTransport(carrier: Transport, clock: Clock, idleTimeoutMs?: number): Transport {
  return createLinkTransport((signal) => openFetchLink(carrier, clock, signal), clock, { idleTimeoutMs });
}

async function receiveAll(link: Link, responses: AsyncIterator<ReceiveResponse>, watch: LinkWatch): Promise<void> {
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
    link.close(new StreamError("the relay ended the link", { failure: Failure.LINK_GONE, code: Code.Unavailable }));
  } catch (reason) {
    const { code, failure, message } = fromConnectError(reason);
    // A broken connection has many codes, and means one thing.
    link.close(
      new StreamError(message, failure === Failure.UNSPECIFIED ? { code: Code.Unavailable } : { failure, code }),
    );
  }
}

/** A request that got no answer is `unknown` for RPC libraries; a browser does not say why it got none. */
function openError(reason: unknown): StreamError {
  const error = fromConnectError(reason);
  if (error.code !== Code.Unknown || error.failure !== Failure.UNSPECIFIED) return error;
  const message = `the relay cannot be reached: is it running, and does it let this page's origin in? (${error.message})`;
  return relayLost(message, reason);
}
