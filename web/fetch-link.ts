import { Code, createClient, type Transport } from "@connectrpc/connect";
import { Failure, Hop } from "../gen/streamserver/v1/failure_pb.js";
import { type LinkOpened, LinkService, type Packet, type ReceiveResponse } from "../gen/streamserver/v1/link_pb.js";
import { fromConnectError } from "../link/failure-detail.js";
import type { Link } from "../link/link.js";
import type { LinkWatch } from "../link/link-watch.js";
import { packetMessage } from "../link/outgoing-packet.js";
import type { Clock } from "../stream/clock.js";
import { StreamError } from "../stream/stream-error.js";
import { createLinkTransport } from "./link-transport.js";
import { createLink, type OpenedLink } from "./opened-link.js";

const openTimeoutMs = 10_000;
const sendTimeoutMs = 15_000;
/** The first Send is small. Where it gets no answer beside Receive, it waits for one that needs the connection as well. */
const firstSendTimeoutMs = 5_000;
/** A batch that got no answer is sent again after these delays; then the link is taken for lost. */
const sendRetryDelaysMs = [100, 400, 1_600];
/** More than this is not worth waiting for: a larger batch delays what is written after it. */
const maxBatchBytes = 524_288;
/** What a slow network takes to the relay in time. */
const minBatchBytes = 16_384;
/** A Send that takes no longer may be followed by one of twice the size. */
const quickSendMs = 1_000;

/**
 * Opens a link over a transport that can do unary and server streaming: one `Receive`, and `Send`s beside it. Rejects with a
 * `StreamError` if the relay does not answer. The link ends by itself when `Receive` does, or when the relay goes silent.
 */
export async function openFetchLink(carrier: Transport, clock: Clock): Promise<OpenedLink> {
  const client = createClient(LinkService, carrier);
  const abort = new AbortController();
  const cancelDeadline = clock.after(openTimeoutMs, () => abort.abort(silent()));
  try {
    const responses = client.receive({}, { signal: abort.signal, timeoutMs: 0 })[Symbol.asyncIterator]();
    const first = await responses.next();
    const opened = first.value?.opened;
    if (opened === undefined) throw new StreamError("the relay opened no link");
    const { link, watch } = createLink(opened, clock);
    void link.closed.then((reason) => abort.abort(reason));
    void receiveAll(link, responses, watch);
    const { signal } = abort;
    void sendAll(link, opened, clock, (batch) => client.send(batch, { timeoutMs: timeoutMsOf(batch), signal }));
    return { kind: "fetch", link, watch };
  } catch (reason) {
    if (abort.signal.aborted) throw silent();
    abort.abort();
    throw openError(reason);
  } finally {
    cancelDeadline();
  }
}

/** A transport for every kind of RPC, on links over one that can do unary and server streaming. */
export function createFetchTransport(carrier: Transport, clock: Clock, idleTimeoutMs?: number): Transport {
  return createLinkTransport(() => openFetchLink(carrier, clock), clock, { idleTimeoutMs });
}

async function receiveAll(link: Link, responses: AsyncIterator<ReceiveResponse>, watch: LinkWatch): Promise<void> {
  try {
    for (;;) {
      const { done, value } = await responses.next();
      if (done) break;
      watch.heard();
      for (const packet of value.packets) link.receive(packet);
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

const firstSequence = 1n;

interface Batch {
  linkId: string;
  linkToken: string;
  sequence: bigint;
  packets: Packet[];
}

async function sendAll(
  link: Link,
  { linkId, linkToken, maxBatchBytes: relayMaxBatchBytes }: LinkOpened,
  clock: Clock,
  send: (batch: Batch) => Promise<unknown>,
): Promise<void> {
  let sequence = firstSequence;
  let batchBytes = minBatchBytes;
  try {
    const next = () => link.nextBatch(Math.min(batchBytes, relayMaxBatchBytes));
    for (let packets = await next(); packets !== undefined; packets = await next()) {
      const sentMs = clock.now();
      await sendSurely({ linkId, linkToken, sequence, packets: packets.map(packetMessage) }, clock, send, link);
      sequence += 1n;
      const isQuick = clock.now() - sentMs <= quickSendMs;
      batchBytes = isQuick ? Math.min(2 * batchBytes, maxBatchBytes) : minBatchBytes;
    }
  } catch (reason) {
    link.close(fromConnectError(reason));
  }
}

/** The number makes it safe to send a batch again that may have arrived. */
async function sendSurely(
  batch: Batch,
  clock: Clock,
  send: (batch: Batch) => Promise<unknown>,
  link: Link,
): Promise<void> {
  for (const delayMs of [...sendRetryDelaysMs, undefined]) {
    try {
      await send(batch);
      return;
    } catch (reason) {
      const { failure, code } = fromConnectError(reason);
      if (code === Code.DeadlineExceeded && batch.sequence === firstSequence) throw noConnectionLeft(reason);
      if (delayMs === undefined || failure !== Failure.UNSPECIFIED || !link.isOpen) throw reason;
      await new Promise<void>((resolve) => {
        const cancel = clock.after(delayMs, resolve);
        void link.closed.then(() => {
          cancel();
          resolve();
        });
      });
    }
  }
}

function timeoutMsOf({ sequence }: Batch): number {
  return sequence === firstSequence ? firstSendTimeoutMs : sendTimeoutMs;
}

function noConnectionLeft(cause: unknown): StreamError {
  const message =
    "the relay answered one request and not a second one beside it: over HTTP/1.1 a browser has six connections to it for all " +
    "tabs together, of which each tab without a WebSocket keeps one; let WebSockets through, or serve HTTP/2";
  return new StreamError(message, { failure: Failure.LIMIT_REACHED, hop: Hop.CALLER, cause });
}

/** A request that got no answer is `unknown` for RPC libraries; a browser does not say why it got none. */
function openError(reason: unknown): StreamError {
  const error = fromConnectError(reason);
  if (error.code !== Code.Unknown || error.failure !== Failure.UNSPECIFIED) return error;
  const message = `the relay cannot be reached: is it running, and does it let this page's origin in? (${error.message})`;
  return new StreamError(message, { failure: Failure.LEG_LOST, hop: Hop.RELAY, cause: reason });
}

function silent(): StreamError {
  return new StreamError("the relay does not answer", {
    code: Code.Unavailable,
    failure: Failure.LEG_LOST,
    hop: Hop.RELAY,
  });
}
