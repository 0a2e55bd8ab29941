import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";

/** The end of a link whose client sends more than it can have any use for. Its connection is not waited for. */
export class FloodError extends StreamError {
  /** `what`: what the client sent too much of, as in "a client sent more resets than it has calls". */
  constructor(what: string) {
    super(`the link is cut off: its client sent ${what}`, { failure: Failure.LIMIT_REACHED });
  }
}
