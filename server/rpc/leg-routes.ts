import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type {
  AcceptRequest,
  AcceptResponseSchema,
  Capabilities,
  ConnectRequest,
  ConnectResponseSchema,
} from "../../gen/streamserver/v1/relay_pb.js";
import { limitsToWire } from "../relay/limits.js";
import type { Relay } from "../relay/relay.js";
import { messageOf } from "../relay/relayed-frame.js";
import { callerCanceled, callerOrigin } from "./caller.js";
import { type AttachedLeg, attachClient, attachListener, type LegCaller, runLeg } from "./leg-run.js";

/**
 * What an RPC message of a leg may hold beside a full frame's messages: an `Open` with its metadata, or field headers.
 */
export const legOverheadBytes = 65_536;

/** The client's leg: `Connect`. */
export function connectLeg(
  relay: Relay,
  requests: AsyncIterable<ConnectRequest>,
  context: HandlerContext,
): AsyncIterable<MessageInitShape<typeof ConnectResponseSchema>> {
  return runLeg(relay, requests, callerOf(context), attachClient, (response) => {
    if (response.kind === "opened")
      return { message: { case: "opened", value: openedToWire(relay, response.attached) } };
    if (response.kind === "frame") return { message: { case: "frame", value: messageOf(response.frame) } };
    return { message: { case: "accepted", value: acceptedToWire(response) } };
  });
}

/** The listener's leg: `Accept`. */
export function acceptLeg(
  relay: Relay,
  requests: AsyncIterable<AcceptRequest>,
  context: HandlerContext,
): AsyncIterable<MessageInitShape<typeof AcceptResponseSchema>> {
  return runLeg(relay, requests, callerOf(context), attachListener, (response) => {
    if (response.kind === "opened")
      return { message: { case: "opened", value: openedToWire(relay, response.attached) } };
    if (response.kind === "frame") return { message: { case: "frame", value: messageOf(response.frame) } };
    // Only a client is told that it was accepted.
    return {};
  });
}

function callerOf(context: HandlerContext): LegCaller {
  return { signal: context.signal, isCanceled: () => callerCanceled(context), origin: callerOrigin(context) };
}

export function openedToWire(relay: Relay, { streamId, legToken }: AttachedLeg) {
  const { limits } = relay;
  return { streamId, legToken, limits: limitsToWire(limits), heartbeatIntervalMs: limits.heartbeatIntervalMs };
}

/** What the client is told of the listener that accepted. */
export function acceptedToWire({ capabilities }: { capabilities: Capabilities | undefined }) {
  return capabilities === undefined ? {} : { capabilities };
}
