import type { Code } from "@connectrpc/connect";
import { Failure, Hop } from "../../../gen/streamserver/v1/failure_pb.js";
import { errorOfReset } from "../../../stream/error/reset.js";
import { StreamError } from "../../../stream/error/stream-error.js";
import type { Half, Role } from "./half.js";
import { endpointFrame } from "./relayed-frame.js";

/** How a stream ended, as the relay knows it. */
export interface StreamEnd {
  /** The side that ended the stream. Undefined for a stream that both endpoints have finished. */
  hop: Role | "relay" | undefined;
  failure: Failure;
  /** Undefined for a stream that both endpoints have finished. */
  code: Code | undefined;
  /** The relay's words. Undefined where the words are an application's, which may not be for the operator. */
  reason: string | undefined;
}

/** The end of a stream that both endpoints have finished. */
export const finishedEnd: StreamEnd = {
  hop: undefined,
  failure: Failure.UNSPECIFIED,
  code: undefined,
  reason: undefined,
};

/** The end by an error of the relay's making. */
export function relayedEnd(hop: StreamEnd["hop"], { failure, code, message }: StreamError): StreamEnd {
  return { hop, failure, code, reason: message };
}

/** The end by the reset of an endpoint; undefined if neither has sent one. */
export function resetEnd({ client, listener }: Readonly<Record<Role, Half>>): StreamEnd | undefined {
  const [hop, frame] =
    client.said === "reset" ? (["client", client.reset] as const) : (["listener", listener.reset] as const);
  const reset = frame === undefined ? undefined : endpointFrame(frame).reset;
  if (reset === undefined) return undefined;
  const { failure, code } = errorOfReset(reset);
  return { hop, failure, code, reason: undefined };
}

/** The error of a half, which tells its endpoint how much of its own the peer is known to have. */
export function accounted(
  error: StreamError | undefined,
  { peer: { receivedSequence } }: Half,
): StreamError | undefined {
  if (error === undefined || receivedSequence === 0) return error;
  const { message, code, failure, hop, cause, limit } = error;
  return new StreamError(message, { code, failure, hop, cause, receivedSequence, limit });
}

/** The error for the client of a listener that was replaced by another process of its owner. */
export function listenerReplacedError(): StreamError {
  const message = "the owner of the name has claimed it again, as a page does that was loaded again";
  return new StreamError(message, { failure: Failure.LEG_LOST, hop: Hop.CALLER });
}

/** The error that the peer gets when a leg failed. */
export function peerError(error: StreamError): StreamError {
  const failure = error.failure === Failure.PEER_CANCELED ? Failure.PEER_CANCELED : Failure.LEG_LOST;
  return new StreamError(`the other side: ${error.message}`, { failure, hop: Hop.PEER });
}

/** The error for a client without a leg, when a listener accepts that resumes no streams. */
export function clientAwayError(): StreamError {
  return new StreamError("the leg was lost, and the listener that has accepted meanwhile resumes no streams", {
    failure: Failure.LEG_LOST,
    hop: Hop.CALLER,
  });
}
