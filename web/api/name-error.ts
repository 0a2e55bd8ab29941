import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";
import { isWellFormed } from "../../stream/platform/well-formed.js";

/**
 * The error of a name that cannot be sent to the relay as it is; undefined for all others, which the relay judges. An
 * encoder replaces half of a surrogate pair, so that another name than this was claimed or reached.
 */
export function nameError(name: unknown): StreamError | undefined {
  if (isWellFormed(name)) return undefined;
  return new StreamError("a name is a string without half of a surrogate pair", { failure: Failure.NAME_INVALID });
}
