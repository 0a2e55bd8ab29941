import type { ChannelRequest } from "../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../link/channel/channel.js";
import { canceledError, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import type { NodeRequest, NodeResponse } from "../http/node-server.js";
import { isEncrypted } from "../http/request/request-urls.js";
import { answerFailure } from "./failure-answer.js";
import { GatewayCall } from "./gateway-call.js";
import type { GatewayTarget } from "./gateway-target.js";
import { requestOf } from "./passed-headers.js";

/** A server gives its handler up after 60 s; a caller waits a little longer, so that it gets the server's own answer. */
const defaultHeadTimeoutMs = 75_000;

export interface ListenerCallInit {
  target: GatewayTarget;
  request: NodeRequest;
  response: NodeResponse;
  /** Whether the policy of the relay has used Authorization up. */
  dropsAuthorization: boolean;
  /** Opens a channel to the listener. */
  open: (request: ChannelRequest) => Promise<Channel>;
  clock: Clock;
}

/** Passes a request of a Node server on to a listener, and its answer back. Never rejects. */
export async function callListener({
  target,
  request,
  response,
  dropsAuthorization,
  open,
  clock,
}: ListenerCallInit): Promise<void> {
  try {
    const scheme = isEncrypted(request) ? "https" : "http";
    const channel = await open(requestOf(request, { target, scheme, dropsAuthorization }));
    // A response whose caller has gone says so once.
    if (("stream" in response ? response.stream : response).destroyed) return channel.reset(canceledError());
    new GatewayCall({ target, channel, request, response, headTimeoutMs: headTimeoutMsOf(request), clock });
  } catch (reason) {
    if (!response.headersSent) answerFailure(request, response, StreamError.from(reason));
    else response.destroy();
  }
}

/**
 * Returns how long to wait for the head of the answer. An RPC has a deadline of its caller's own, and the head of its
 * answer goes with its first message, which may come after hours.
 */
export function headTimeoutMsOf({ headers }: NodeRequest): number {
  const isRpc =
    /^application\/(grpc|connect\+)/.test(headers["content-type"] ?? "") || "connect-protocol-version" in headers;
  return isRpc ? Number.POSITIVE_INFINITY : defaultHeadTimeoutMs;
}
