import { Code, ConnectError } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import type { Open } from "../../gen/streamserver/v1/relay_pb.js";
import { fromConnectError, toConnectError } from "../../link/failure-detail.js";
import type { Clock } from "../../stream/clock.js";
import { StreamError } from "../../stream/stream-error.js";
import type { Relay } from "../relay/relay.js";
import { costOf, type RelayedFrame } from "../relay/relayed-frame.js";
import type { LegEvent, SpliceLeg } from "../relay/splice-leg.js";

/** The body of a cancelled call may end this long before the call's signal is aborted. */
const abortGraceMs = 100;

/** Legs allowed per stream: its own two, and two of an ended stream whose responses are still being read. */
const legsPerStream = 4;

export interface AttachedLeg {
  leg: SpliceLeg;
  streamId: string;
  legToken: string;
}

/** A message from an endpoint on its leg. */
export interface LegRequest {
  message: { case: "open"; value: Open } | { case: "frame"; value: RelayedFrame } | { case: undefined };
}

/** The caller of a leg's RPC, the same for every carrier. */
export interface LegCaller {
  /** Aborted when the call is over before its end. */
  signal: AbortSignal;
  /** Once the signal is aborted: whether the caller cancelled, rather than that its connection broke. */
  isCanceled(): boolean;
  /** The Origin header of the caller's request, or empty. */
  origin: string;
}

/** Attaches a leg to a stream by the leg's first message. */
export type Attach = (relay: Relay, open: Open, caller: LegCaller) => AttachedLeg;

/** The client's leg: `Connect`. */
export const attachClient: Attach = (relay, open, { origin }) => {
  if (open.resume !== undefined) throw resumeUnsupported();
  const { name, metadata, capabilities } = open;
  const { splice, token } = relay.connect({ name, metadata, capabilities, origin });
  return { leg: splice.client, streamId: splice.id, legToken: token };
};

/** The listener's leg: `Accept`. */
export const attachListener: Attach = (relay, { streamId, legToken, capabilities, resume }) => {
  if (resume !== undefined) throw resumeUnsupported();
  return { leg: relay.accept(streamId, legToken, capabilities), streamId, legToken };
};

/** A message for an endpoint on its leg. */
export type LegResponse = LegEvent | { kind: "opened"; attached: AttachedLeg };

/**
 * Runs a leg from its first message to its end. Yields the encoded messages for its endpoint. Throws the reason if the
 * leg does not end well.
 */
export async function* runLeg<T>(
  relay: Relay,
  requests: AsyncIterable<LegRequest>,
  caller: LegCaller,
  attach: Attach,
  encode: (response: LegResponse) => T,
): AsyncGenerator<T, void, undefined> {
  const request = requests[Symbol.asyncIterator]();
  let leg: SpliceLeg | undefined;
  // The `finally` below is not enough: if the peer goes while its response is under backpressure, nobody asks this
  // generator for more, so it never ends.
  const onAbort = () => {
    if (leg === undefined) return;
    relay.legs.delete(leg);
    leg.fail(abortError(caller));
  };
  caller.signal.addEventListener("abort", onAbort);
  try {
    const open = await receiveOpen(relay, request);
    checkRoom(relay);
    const attached = attach(relay, open, caller);
    leg = attached.leg;
    relay.legs.add(leg);
    if (caller.signal.aborted) onAbort();
    yield encode({ kind: "opened", attached });
    void forwardFrames(relay, request, leg, caller);
    for await (const event of leg.events()) yield encode(event);
  } catch (reason) {
    throw toConnectError(reason);
  } finally {
    caller.signal.removeEventListener("abort", onAbort);
    if (leg !== undefined) {
      relay.legs.delete(leg);
      // A leg whose response nobody takes any more is lost. This does nothing to a stream that has ended.
      leg.fail(new StreamError("the response was not read to its end", { failure: Failure.LEG_LOST }));
    }
  }
}

/**
 * Limits the open legs. A leg of an ended stream stays open until its endpoint has read what was sent before, so that
 * nothing is lost. Without this limit, an endpoint that reads nothing could end one stream after the other and fill the
 * relay.
 */
function checkRoom({ legs, limits, warnings }: Relay): void {
  const maxLegs = legsPerStream * limits.maxStreams;
  if (legs.size < maxLegs) return;
  throw warnings.limitReached("maxStreams", `the relay holds ${maxLegs} legs already`);
}

async function receiveOpen(relay: Relay, request: AsyncIterator<LegRequest>): Promise<Open> {
  const { openTimeoutMs } = relay.limits;
  const first = await new Promise<IteratorResult<LegRequest>>((resolve, reject) => {
    const late = violation(`no open within ${openTimeoutMs} ms`, Code.DeadlineExceeded);
    const cancel = relay.clock.after(openTimeoutMs, () => reject(late));
    request
      .next()
      .then(resolve, (reason) => reject(requestError(reason) ?? lost(reason)))
      .finally(cancel);
  });
  if (!first.done && first.value.message.case === "open") return first.value.message.value;
  throw violation("the first message is not open");
}

async function forwardFrames(
  relay: Relay,
  request: AsyncIterator<LegRequest>,
  leg: SpliceLeg,
  caller: LegCaller,
): Promise<void> {
  const { signal } = caller;
  try {
    for (;;) {
      const { done, value } = await request.next();
      if (done) {
        if (leg.said === "nothing") await aborted(signal, relay.clock);
        return signal.aborted ? leg.fail(abortError(caller)) : leg.endRequest();
      }
      if (value.message.case === "open") return leg.fail(violation("only the first message is open"));
      // A newer client may send a kind of message that this relay does not know.
      if (value.message.case === undefined) continue;
      checkFrame(relay, value.message.value);
      await leg.put(value.message.value);
    }
  } catch (reason) {
    const error = requestError(reason);
    if (error !== undefined) return leg.fail(error);
    await aborted(signal, relay.clock);
    leg.fail(signal.aborted ? abortError(caller) : lost(reason));
  }
}

/**
 * Resolves when the signal is aborted, or after a short wait: the body of a cancelled call ends or breaks a moment
 * before the call's signal is aborted.
 */
function aborted(signal: AbortSignal, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(abortGraceMs, done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}

function checkFrame(relay: Relay, frame: RelayedFrame): void {
  const costBytes = costOf(frame);
  if (costBytes <= relay.limits.maxFrameBytes) return;
  throw new StreamError(`a frame of ${costBytes} bytes is larger than ${relay.limits.maxFrameBytes}`, {
    failure: Failure.FRAME_TOO_LARGE,
  });
}

/**
 * Returns the error of a request with bytes that are no message, or with a message over the limit; undefined if its
 * call broke.
 */
function requestError(reason: unknown): StreamError | undefined {
  const { code, message, failure } = fromConnectError(reason);
  if (failure !== Failure.UNSPECIFIED) return fromConnectError(reason);
  if (!(reason instanceof ConnectError)) return undefined;
  if (code === Code.InvalidArgument || code === Code.Internal || code === Code.Unimplemented) return violation(message);
  if (code === Code.ResourceExhausted) return new StreamError(message, { failure: Failure.FRAME_TOO_LARGE });
  return undefined;
}

function lost(reason: unknown): StreamError {
  return new StreamError(fromConnectError(reason).message, { failure: Failure.LEG_LOST });
}

function abortError(caller: LegCaller): StreamError {
  // The legs of a link that ends are lost, whether the link ends with a goodbye or without.
  const isLost = fromConnectError(caller.signal.reason).failure === Failure.LEG_LOST;
  if (!isLost && caller.isCanceled()) {
    return new StreamError("the call was cancelled", { failure: Failure.PEER_CANCELED });
  }
  return new StreamError("the connection to the relay broke", { failure: Failure.LEG_LOST });
}

function violation(message: string, code?: Code): StreamError {
  return new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION, code });
}

function resumeUnsupported(): StreamError {
  return new StreamError("this relay does not resume streams", { failure: Failure.FEATURE_UNSUPPORTED });
}
