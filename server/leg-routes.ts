import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import type { Frame } from "../gen/streamserver/v1/frame_pb.js";
import type {
  AcceptRequest,
  AcceptResponseSchema,
  ConnectRequest,
  ConnectResponseSchema,
  Open,
} from "../gen/streamserver/v1/relay_pb.js";
import { fromConnectError, toConnectError } from "../link/failure-detail.js";
import type { Clock } from "../stream/clock.js";
import { messageOverheadBytes } from "../stream/sender.js";
import { StreamError } from "../stream/stream-error.js";
import { callerCanceled, callerOrigin } from "./caller.js";
import { limitsToWire } from "./limits.js";
import type { Relay } from "./relay.js";
import type { LegEvent, SpliceLeg } from "./splice-leg.js";

/** What an RPC message of a leg may hold beside a full frame's messages: an `Open` with its metadata, or field headers. */
export const legOverheadBytes = 65_536;

/** How long the abort of a call may come after the end of its request's body. */
const abortGraceMs = 100;

interface AttachedLeg {
  leg: SpliceLeg;
  streamId: string;
  legToken: string;
}

type LegRequest = ConnectRequest | AcceptRequest;

/** The client's leg: `Connect`. */
export async function* connectLeg(
  relay: Relay,
  requests: AsyncIterable<ConnectRequest>,
  context: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof ConnectResponseSchema>> {
  const attach = (open: Open) => {
    if (open.resume !== undefined) throw resumeUnsupported();
    const { splice, token } = relay.connect({
      name: open.name,
      metadata: open.metadata,
      capabilities: open.capabilities,
      origin: callerOrigin(context),
    });
    return { leg: splice.client, streamId: splice.id, legToken: token };
  };
  for await (const event of runLeg(relay, requests, context, attach)) {
    if (event.kind === "opened") yield { message: { case: "opened", value: openedToWire(relay, event.attached) } };
    else if (event.kind === "frame") yield { message: { case: "frame", value: event.frame } };
    else {
      const { capabilities } = event;
      yield { message: { case: "accepted", value: capabilities === undefined ? {} : { capabilities } } };
    }
  }
}

/** The listener's leg: `Accept`. */
export async function* acceptLeg(
  relay: Relay,
  requests: AsyncIterable<AcceptRequest>,
  context: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof AcceptResponseSchema>> {
  const attach = ({ streamId, legToken, capabilities, resume }: Open) => {
    if (resume !== undefined) throw resumeUnsupported();
    return { leg: relay.accept(streamId, legToken, capabilities), streamId, legToken };
  };
  for await (const event of runLeg(relay, requests, context, attach)) {
    if (event.kind === "opened") yield { message: { case: "opened", value: openedToWire(relay, event.attached) } };
    else if (event.kind === "frame") yield { message: { case: "frame", value: event.frame } };
  }
}

async function* runLeg(
  relay: Relay,
  requests: AsyncIterable<LegRequest>,
  context: HandlerContext,
  attach: (open: Open) => AttachedLeg,
): AsyncGenerator<LegEvent | { kind: "opened"; attached: AttachedLeg }> {
  const request = requests[Symbol.asyncIterator]();
  let leg: SpliceLeg | undefined;
  // Not only when this generator ends: a response that a peer has left under backpressure is never asked for more.
  const onAbort = () => {
    if (leg === undefined) return;
    relay.legs.delete(leg);
    leg.fail(abortError(context));
  };
  context.signal.addEventListener("abort", onAbort);
  try {
    const attached = attach(await receiveOpen(relay, request));
    leg = attached.leg;
    relay.legs.add(leg);
    if (context.signal.aborted) onAbort();
    yield { kind: "opened", attached };
    void forwardFrames(relay, request, leg, context);
    yield* leg.events();
  } catch (reason) {
    throw toConnectError(reason);
  } finally {
    context.signal.removeEventListener("abort", onAbort);
    if (leg !== undefined) {
      relay.legs.delete(leg);
      // Does nothing to a stream that has ended; a response that nobody takes any more is a leg that is lost.
      leg.fail(new StreamError("the response was not read to its end", { failure: Failure.LEG_LOST }));
    }
  }
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
  context: HandlerContext,
): Promise<void> {
  const { signal } = context;
  try {
    for (;;) {
      const { done, value } = await request.next();
      if (done) {
        if (leg.said === "nothing") await aborted(signal, relay.clock);
        return signal.aborted ? leg.fail(abortError(context)) : leg.endRequest();
      }
      if (value.message.case === "open") return leg.fail(violation("only the first message is open"));
      // A kind of message that came after this relay was written.
      if (value.message.case === undefined) continue;
      checkFrame(relay, value.message.value);
      await leg.put(value.message.value);
    }
  } catch (reason) {
    const error = requestError(reason);
    if (error !== undefined) return leg.fail(error);
    await aborted(signal, relay.clock);
    leg.fail(signal.aborted ? abortError(context) : lost(reason));
  }
}

/**
 * Resolves when the signal is aborted, or has not been for a while: the body of a call that was cancelled ends or breaks a
 * moment before the call says that it was.
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

function checkFrame(relay: Relay, frame: Frame): void {
  let costBytes = 0;
  for (const { data } of frame.messages) costBytes += data.byteLength + messageOverheadBytes;
  if (costBytes <= relay.limits.maxFrameBytes) return;
  throw new StreamError(`a frame of ${costBytes} bytes is larger than ${relay.limits.maxFrameBytes}`, {
    failure: Failure.FRAME_TOO_LARGE,
  });
}

/** What is wrong with a request: bytes that are no message, or a message over the limit. Undefined if its call broke. */
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

function abortError(context: HandlerContext): StreamError {
  if (callerCanceled(context)) return new StreamError("the call was cancelled", { failure: Failure.PEER_CANCELED });
  return new StreamError("the connection to the relay broke", { failure: Failure.LEG_LOST });
}

function violation(message: string, code?: Code): StreamError {
  return new StreamError(message, { failure: Failure.PROTOCOL_VIOLATION, code });
}

function resumeUnsupported(): StreamError {
  return new StreamError("this relay does not resume streams", { failure: Failure.FEATURE_UNSUPPORTED });
}

function openedToWire(relay: Relay, { streamId, legToken }: AttachedLeg) {
  return { streamId, legToken, limits: limitsToWire(relay.limits) };
}
