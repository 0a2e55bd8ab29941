import type { ChannelRequest } from "../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../link/channel/channel.js";
import { canceledError, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { type Caller, localCaller } from "../admission/caller.js";
import type { HeldBytes } from "../admission/held-bytes.js";
import { defaultLimits, maxTimerMs, type RelayLimits } from "../admission/limits.js";
import { sendContinue } from "../http/install.js";
import { isGone, type NodeRequest, type NodeResponse } from "../http/node-server.js";
import { isEncrypted } from "../http/request/request-urls.js";
import { endFailed } from "./failure-answer.js";
import { GatewayCall } from "./gateway-call.js";
import type { GatewayTarget } from "./gateway-target.js";
import { requestOf } from "./passed-headers.js";

export interface ListenerCallInit {
  target: GatewayTarget;
  request: NodeRequest;
  response: NodeResponse;
  /** Whether the policy of the relay has used Authorization up. */
  dropsAuthorization: boolean;
  /** Opens a channel to the listener. */
  open: (request: ChannelRequest) => Promise<Channel>;
  /** Tells the caller of the failure of its call. Default: {@link endFailed}. */
  fail?: (error: StreamError) => void;
  /** The scheme of the public URL. Default: that of the connection. */
  scheme?: "http" | "https";
  /** Default: those of a relay. */
  limits?: Pick<RelayLimits, "gatewayTimeoutMs" | "maxGatewayBodyBytes">;
  clock: Clock;
  /** The bytes that wait in the relay, of which those of the call are some, and its caller. Default: not counted. */
  held?: { heldBytes: HeldBytes; caller: Caller };
}

/**
 * Passes a request of a Node server on to a listener, and its answer back. Resolves with the call when it has begun,
 * and with undefined if it has failed before. Never rejects.
 */
export async function callListener({
  target,
  request,
  response,
  dropsAuthorization,
  open,
  fail = (error) => endFailed(request, response, error),
  scheme = isEncrypted(request) ? "https" : "http",
  limits = defaultLimits,
  clock,
  held,
}: ListenerCallInit): Promise<GatewayCall | undefined> {
  try {
    const channel = await open(requestOf(request, { target, scheme, dropsAuthorization }));
    // A response whose caller has gone says so once.
    if (isGone(response)) {
      channel.reset(canceledError());
      return undefined;
    }
    sendContinue(request, response);
    const { gatewayTimeoutMs, maxGatewayBodyBytes } = limits;
    const headTimeoutMs = headTimeoutMsOf(request, gatewayTimeoutMs);
    const maxBodyBytes = maxGatewayBodyBytes === maxTimerMs ? Number.POSITIVE_INFINITY : maxGatewayBodyBytes;
    const caller = held?.caller ?? localCaller;
    const times = { headTimeoutMs, clock };
    const call = new GatewayCall({ target, channel, request, response, fail, maxBodyBytes, caller, ...times });
    if (held !== undefined) response.once("close", held.heldBytes.add(call));
    return call;
  } catch (reason) {
    if (!isGone(response)) fail(StreamError.from(reason));
    return undefined;
  }
}

/**
 * Returns how long to wait for the head of the answer. An RPC has a deadline of its caller's own, and the head of its
 * answer goes with its first message, which may come after hours.
 */
export function headTimeoutMsOf({ headers }: NodeRequest, timeoutMs: number): number {
  const isRpc =
    /^application\/(grpc|connect\+)/.test(headers["content-type"] ?? "") || "connect-protocol-version" in headers;
  return isRpc ? Number.POSITIVE_INFINITY : timeoutMs;
}
