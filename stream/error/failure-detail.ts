import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Failure, FailureDetailSchema, Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { messageOf, type ReachedLimit, StreamError } from "./stream-error.js";

/** A StreamError as an RPC carries it: the code, the message, and a `FailureDetail`. */
export function toConnectError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  const error = StreamError.from(reason, Code.Internal);
  const { failure, hop, receivedSequence = 0 } = error;
  const { name: limit = "", value: limitValue = 0, retryAfterMs = 0 }: Partial<ReachedLimit> = error.limit ?? {};
  const value = create(FailureDetailSchema, {
    failure,
    hop,
    receivedSequence: BigInt(receivedSequence),
    limit,
    limitValue,
    retryAfterMs,
  });
  return new ConnectError(error.message, error.code, undefined, [{ desc: FailureDetailSchema, value }]);
}

/** The inverse of {@link toConnectError}; an error without a detail is the transport's. */
export function fromConnectError(reason: unknown): StreamError {
  if (reason instanceof StreamError) return reason;
  const error = ConnectError.from(reason);
  const [detail] = error.findDetails(FailureDetailSchema);
  return new StreamError(messageOf(error, "all"), {
    code: error.code,
    failure: detail?.failure,
    hop: detail?.hop,
    cause: reason,
    receivedSequence: Number(detail?.receivedSequence ?? 0n) || undefined,
    limit: detail?.limit
      ? { name: detail.limit, value: detail.limitValue, retryAfterMs: detail.retryAfterMs }
      : undefined,
  });
}

/**
 * Returns whether a relay has told the failure. A call that fails before it reaches a relay has no failure, or
 * LEG_LOST.
 */
export function isOfRelay(failure: Failure): boolean {
  return failure !== Failure.UNSPECIFIED && failure !== Failure.LEG_LOST;
}

/** Codes that somebody on the way, or the caller, has given on purpose. No broken connection has one of them. */
const statedCodes: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.PermissionDenied,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.Unauthenticated,
]);

/**
 * Why a call to a relay failed: what the relay said; or else FAILURE_LEG_LOST of HOP_RELAY, for a relay that cannot be
 * reached or is gone, whichever of many codes the platform has for that.
 *
 * - `relay`: what the message calls the relay, see {@link relayAt}.
 * - `isAnswered`: whether the relay had answered the call before.
 */
export function callError(reason: unknown, relay = relayAt(), isAnswered = false): StreamError {
  const error = fromConnectError(reason);
  if (error.failure !== Failure.UNSPECIFIED || statedCodes.has(error.code)) return error;
  const lost = isAnswered ? `the connection to ${relay} is lost` : `${relay} cannot be reached`;
  return relayLostError(`${lost}: ${error.message}`, reason);
}

/** The name of a relay in messages. Its URL may not be known. */
export function relayAt(url?: string): string {
  return url === undefined ? "the relay" : `the relay at ${url}`;
}

/** The error of a relay that cannot be reached, or is gone. */
export function relayLostError(message: string, cause?: unknown): StreamError {
  return new StreamError(message, { failure: Failure.LEG_LOST, hop: Hop.RELAY, cause });
}
