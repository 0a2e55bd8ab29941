import type { ConnectError } from "@connectrpc/connect";
import { toConnectError } from "../../stream/error/failure-detail.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { errorIdOf } from "../relay/error-id.js";

/** The header, or trailer, with the id under which the log of the relay has an error. */
export const errorIdHeader = "error-id";

/** Returns an error as it goes out: with its `FailureDetail`, and with its id if it has one. */
export function wireErrorOf(reason: unknown): ConnectError {
  const error = toConnectError(reason);
  const id = reason instanceof StreamError ? errorIdOf(reason) : undefined;
  if (id !== undefined) error.metadata.set(errorIdHeader, id);
  return error;
}
