import { Code } from "@connectrpc/connect";
import { codeFromWire, cutReason, StreamError } from "../../stream/error/stream-error.js";

/** RFC 6455, section 7.4.1, and the IANA registry; a page itself may send only the first. */
const normalClosure = 1000;
/**
 * Browsers say this by themselves: of a page that is left before it knows it itself, and of one that stays after all.
 */
export const goingAway = 1001;
export const unsupportedData = 1003;
export const invalidPayload = 1007;
export const messageTooBig = 1009;
/** A relay goes away, and its clients should connect anew. */
export const serviceRestart = 1012;
/** A connection that broke, or never was, has this code; nobody sends it. */
export const noStatus = 1006;

/** A status code of Connect is a close code of the application's, counted from here: 4001 to 4016. */
const firstStatusCode = 4000;
/** A close frame holds no more. RFC 6455, section 5.5. */
const maxCloseReasonBytes = 123;

const statusOf: Readonly<Record<number, Code>> = {
  [normalClosure]: Code.Canceled,
  1002: Code.InvalidArgument,
  [unsupportedData]: Code.InvalidArgument,
  [invalidPayload]: Code.InvalidArgument,
  1008: Code.PermissionDenied,
  [messageTooBig]: Code.ResourceExhausted,
  1011: Code.Internal,
};

/** How a WebSocket is closed for an error. */
export function closeFrame({ code, message }: StreamError): { code: number; reason: string } {
  return {
    code: code === Code.Canceled ? normalClosure : firstStatusCode + code,
    reason: cutReason(message, maxCloseReasonBytes),
  };
}

/**
 * The error that the end of a WebSocket means. A closure that nobody explained is a lost connection, `unavailable`. So
 * is {@link goingAway}.
 */
export function closeError(closeCode: number, reason: string): StreamError {
  const isStatus = closeCode > firstStatusCode && closeCode <= firstStatusCode + Code.Unauthenticated;
  const code = isStatus ? codeFromWire(closeCode - firstStatusCode) : (statusOf[closeCode] ?? Code.Unavailable);
  return new StreamError(reason || `the WebSocket was closed with ${closeCode}`, { code });
}
