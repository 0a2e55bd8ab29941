import type { ConnectError } from "@connectrpc/connect";
import { toConnectError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { errorIdHeader, errorIdOf } from "../relay/error-id.js";

/** Returns an error as it goes out: with its `FailureDetail`, and with its id if it has one. */
export function wireErrorOf(reason: unknown): ConnectError {
  const error = toConnectError(reason);
  const id = reason instanceof StreamError ? errorIdOf(reason) : undefined;
  if (id !== undefined) error.metadata.set(errorIdHeader, id);
  return error;
}
