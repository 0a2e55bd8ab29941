import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Failure, FailureDetailSchema, Hop } from "../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../stream/stream-error.js";

/** A StreamError as an RPC carries it: the code, the message, and a `FailureDetail`. */
export function toConnectError(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  const error = StreamError.from(reason, Code.Internal);
  return new ConnectError(error.message, error.code, undefined, [
    { desc: FailureDetailSchema, value: create(FailureDetailSchema, { failure: error.failure, hop: error.hop }) },
  ]);
}

/** The inverse of {@link toConnectError}; an error without a detail is the transport's. */
export function fromConnectError(reason: unknown): StreamError {
  if (reason instanceof StreamError) return reason;
  const error = ConnectError.from(reason);
  const [detail] = error.findDetails(FailureDetailSchema);
  return new StreamError(error.rawMessage, {
    code: error.code,
    failure: detail?.failure,
    hop: detail?.hop,
    cause: reason,
  });
}

/** Whether a relay has said so: what fails before one is met has no failure, or is the loss of what led there. */
export function isOfRelay(failure: Failure): boolean {
  return failure !== Failure.UNSPECIFIED && failure !== Failure.LEG_LOST;
}

/** Why a call broke that the relay had answered: the relay says so itself, or the connection to it is gone, whatever its code. */
export function brokenCall(reason: unknown): StreamError {
  const error = fromConnectError(reason);
  if (error.failure !== Failure.UNSPECIFIED || reason instanceof StreamError) return error;
  return relayLost(`the connection to the relay is lost: ${error.message}`, reason);
}

/** What failed is the way from here to the relay, or the relay. */
export function relayLost(message: string, cause?: unknown): StreamError {
  return new StreamError(message, { failure: Failure.LEG_LOST, hop: Hop.RELAY, cause });
}
