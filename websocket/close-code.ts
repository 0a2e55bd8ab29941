import { Code } from "@connectrpc/connect";
import { Failure } from "../gen/streamserver/v1/failure_pb.js";
import { cutReason, StreamError } from "../stream/error/stream-error.js";

/** RFC 6455, section 7.4.1, and the IANA registry. A peer that finished its direction has closed with this one. */
export const normalClosure = 1000;
/** An endpoint leaves, such as a page, or a server that is stopped. */
export const goingAway = 1001;
const protocolError = 1002;
/** A side has closed without saying why. Nobody sends it. */
export const noStatus = 1005;
/** A connection that broke, or never was, has this code; nobody sends it. */
export const abnormalClosure = 1006;
const invalidPayload = 1007;
const policyViolation = 1008;
const messageTooBig = 1009;
const internalError = 1011;
const tryAgainLater = 1013;
/** A gateway has lost the connection that it closes this one for. */
export const badGateway = 1014;

/** A close frame holds no longer reason. RFC 6455, section 5.5. */
export const maxCloseReasonBytes = 123;

/** How a WebSocket has ended. */
export interface Closure {
  code: number;
  reason: string;
  /** Whether a side has closed it, as opposed to a connection that was lost or a stream that failed. */
  wasClean: boolean;
  /** Why the stream failed, if it did. */
  error: StreamError | undefined;
}

const codeOfFailure: Partial<Record<Failure, number>> = {
  [Failure.LISTENER_GONE]: goingAway,
  [Failure.DRAINING]: goingAway,
  [Failure.PROTOCOL_VIOLATION]: protocolError,
  [Failure.SEQUENCE_GAP]: protocolError,
  [Failure.CREDIT_EXCEEDED]: protocolError,
  [Failure.MESSAGE_TOO_LARGE]: messageTooBig,
  [Failure.FRAME_TOO_LARGE]: messageTooBig,
  [Failure.LIMIT_REACHED]: tryAgainLater,
  // The application of the peer has chosen the code of a refusal; by default it is a matter of its policy.
  [Failure.DECLINED]: policyViolation,
};

const codeOfStatus: Partial<Record<Code, number>> = {
  [Code.InvalidArgument]: invalidPayload,
  [Code.PermissionDenied]: policyViolation,
  [Code.Unauthenticated]: policyViolation,
  [Code.ResourceExhausted]: tryAgainLater,
  [Code.Internal]: internalError,
  [Code.Unknown]: internalError,
  [Code.Unimplemented]: internalError,
};

/** What a stream's reset says of a close code, for programs and for people. */
const closedWith = /^the WebSocket was closed with (\d{4})(?:: (.*))?$/s;

/** The error that ends a stream for a close code of the application's own. {@link closureOf} reads it at the peer. */
export function closeError(code: number, reason: string): StreamError {
  const message = `the WebSocket was closed with ${code}${reason === "" ? "" : `: ${reason}`}`;
  return new StreamError(message, { code: Code.Aborted });
}

/**
 * How a WebSocket has ended whose stream failed: 1006 where no other code is nearer. All but 1006 may stand in a close
 * frame with the reason, whatever the peer has written.
 */
export function closureOf(error: StreamError): Closure {
  const [, digits, words = ""] = error.code === Code.Aborted ? (closedWith.exec(error.message) ?? []) : [];
  const given = Number(digits);
  const wasClean = isSendable(given);
  const code = wasClean ? given : (codeOfFailure[error.failure] ?? codeOfStatus[error.code] ?? abnormalClosure);
  return { code, reason: cutReason(wasClean ? words : error.message, maxCloseReasonBytes), wasClean, error };
}

/** Whether a close frame may have the code. RFC 6455, section 7.4, and the IANA registry. */
function isSendable(code: number): boolean {
  const isReserved = code === 1004 || code === noStatus || code === abnormalClosure;
  return (code >= normalClosure && code <= badGateway && !isReserved) || (code >= 3000 && code <= 4999);
}
