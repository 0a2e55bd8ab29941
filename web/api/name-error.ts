import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/stream-error.js";
import { isWellFormed } from "../../stream/well-formed.js";

/** The error of a name that cannot be sent to the relay as it is; undefined for all others, which the relay judges. */
export function nameError(name: unknown): StreamError | undefined {
  if (typeof name !== "string") return invalid("a name is a string");
  // An encoder replaces such a half, and so another name than this is claimed or reached.
  if (!isWellFormed(name)) return invalid("the name has half of a surrogate pair");
  return undefined;
}

function invalid(message: string): StreamError {
  return new StreamError(message, { failure: Failure.NAME_INVALID });
}
