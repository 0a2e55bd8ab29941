import { create } from "@bufbuild/protobuf";
import type { Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { type Reset, ResetSchema } from "../../gen/streamserver/v1/frame_pb.js";
import { codeFromWire, cutReason, StreamError } from "./stream-error.js";

/** Returns the reset that tells a peer of an error. */
export function resetOf({ code, message, failure }: StreamError): Reset {
  return create(ResetSchema, { code, reason: cutReason(message), failure });
}

/** Returns the error that a reset tells of. The hop is the one of its failure by default. */
export function errorOfReset({ code, reason, failure }: Reset, hop?: Hop): StreamError {
  return new StreamError(cutReason(reason), { code: codeFromWire(code), failure, hop });
}
