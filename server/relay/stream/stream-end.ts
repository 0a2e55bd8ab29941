import type { Code } from "@connectrpc/connect";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { errorOfReset } from "../../../stream/error/reset.js";
import type { StreamError } from "../../../stream/error/stream-error.js";
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
