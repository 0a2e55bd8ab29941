import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { toConnectError } from "../../stream/error/failure-detail.js";
import { cutReason, StreamError } from "../../stream/error/stream-error.js";
import { refuseMarked } from "./caller.js";

/** How Connect's error begins for a message of the relay's own that cannot be sent. */
const unsendable = "serialize ";

/**
 * Connect asks this for each call before it reads any of the request. Throws the error of a call that is refused, or
 * over.
 */
export function requestGate(context: HandlerContext): void {
  const { signal } = context;
  refuseMarked(context);
  signal.throwIfAborted();
  signal.addEventListener("abort", () => blameSender(signal.reason), { once: true });
}

/**
 * Turns Connect's error about a request that cannot be decoded into `invalid_argument`. Connect makes it `internal`,
 * which says that the relay is at fault. The relay's own errors have details. Connect aborts the signal of a call with
 * the error that it is going to answer with, and reads the error's code and message after that.
 *
 * The message quotes JSON that cannot be parsed, up to any length, and may end within a surrogate pair, which no header
 * can carry; so it is cut.
 */
function blameSender(reason: unknown): void {
  if (!(reason instanceof ConnectError) || reason.details.length > 0) return;
  const rawMessage = cutReason(reason.rawMessage);
  if (reason.code !== Code.Internal || rawMessage.startsWith(unsendable)) {
    Object.assign(reason, { rawMessage });
    return;
  }
  const { code, details } = toConnectError(new StreamError(rawMessage, { failure: Failure.PROTOCOL_VIOLATION }));
  Object.assign(reason, { rawMessage, code, details });
}
