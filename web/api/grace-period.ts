import type { Transport } from "@connectrpc/connect";
import { Feature, type Limits } from "../../gen/streamserver/v1/relay_pb.js";
import { relayLostError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import { relayOf } from "../transport/transport-facts.js";

/** Returns the grace period of a relay, in milliseconds; 0 if it neither resumes streams nor keeps names. */
export function graceMsOf(limits: Limits | undefined): number {
  return limits?.features.includes(Feature.RESUME) ? limits.graceMs : 0;
}

/** The error of a relay that was away for the whole grace period. `cause`: the error with which it was lost. */
export function graceOverError(transport: Transport | undefined, graceMs: number, cause?: StreamError): StreamError {
  return relayLostError(`${relayOf(transport)} could not be reached again within ${graceMs} ms`, cause);
}
