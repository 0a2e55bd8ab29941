import { ConnectError } from "@connectrpc/connect";
import { FailureDetailSchema } from "../../gen/streamserver/v1/failure_pb.js";
import { fromConnectError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";

/**
 * Returns the failure of the way to a service, if that is why a call over `createStreamTransport` has failed: with its
 * code, its failure and its hop. Returns undefined for an error with which the service itself has answered.
 *
 * @example
 * const failure = streamErrorOf(error);
 * if (failure?.failure === Failure.NO_SUCH_NAME) console.log("nobody serves this name");
 */
export function streamErrorOf(error: unknown): StreamError | undefined {
  const hasDetail = error instanceof ConnectError && error.findDetails(FailureDetailSchema).length > 0;
  return hasDetail ? fromConnectError(error) : undefined;
}
