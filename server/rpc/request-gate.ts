import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { toConnectError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
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
 * the error that it is going to answer with, and reads the error's code after that.
 */
function blameSender(reason: unknown): void {
  if (!(reason instanceof ConnectError) || reason.code !== Code.Internal || reason.details.length > 0) return;
  if (reason.rawMessage.startsWith(unsendable)) return;
  const error = new StreamError(reason.rawMessage, { failure: Failure.PROTOCOL_VIOLATION });
  const { code, details } = toConnectError(error);
  Object.assign(reason, { code, details });
}
