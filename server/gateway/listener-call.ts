import type { ChannelRequest } from "../../gen/streamserver/v1/link_pb.js";
import type { Channel } from "../../link/channel/channel.js";
import { canceledError, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { type Caller, localCaller } from "../admission/caller.js";
import type { HeldBytes, Holder } from "../admission/held-bytes.js";
import { defaultLimits, maxTimerMs, type RelayLimits } from "../admission/limits.js";
import { sendContinue } from "../http/install.js";
import { isGone, type NodeRequest, type NodeResponse } from "../http/node-server.js";
import { isEncrypted } from "../http/request/request-urls.js";
import { waitingBytes } from "../http/waiting-bytes.js";
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
  /**
   * The readers of the answer, for caches in front of the relay: only its caller, where a policy has let that in.
   * Default "anybody".
   */
  audience?: "anybody" | "caller";
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
  audience = "anybody",
  open,
  fail = (error) => endFailed(request, response, error),
  scheme = isEncrypted(request) ? "https" : "http",
  limits = defaultLimits,
  clock,
  held,
}: ListenerCallInit): Promise<GatewayCall | undefined> {
  let state = "opening" as "opening" | "failed";
  const endHeld = (error: StreamError) => {
    state = "failed";
    fail(error);
  };
  try {
    const opening = open(requestOf(request, { target, scheme, dropsAuthorization }));
    const channel = await holding(opening, request, response, held, endHeld);
    // A response whose caller has gone says so once.
    if (state === "failed" || isGone(response)) {
      channel.reset(canceledError());
      return undefined;
    }
    sendContinue(request, response);
    const { gatewayTimeoutMs, maxGatewayBodyBytes } = limits;
    const headTimeoutMs = headTimeoutMsOf(request, gatewayTimeoutMs);
    const maxBodyBytes = maxGatewayBodyBytes === maxTimerMs ? Number.POSITIVE_INFINITY : maxGatewayBodyBytes;
    const caller = held?.caller ?? localCaller;
    const times = { headTimeoutMs, clock };
    const call = new GatewayCall({
      target,
      channel,
      request,
      response,
      fail,
      maxBodyBytes,
      audience,
      caller,
      ...times,
    });
    if (held !== undefined) response.once("close", held.heldBytes.add(call));
    return call;
  } catch (reason) {
    if (state !== "failed" && !isGone(response)) fail(StreamError.from(reason));
    return undefined;
  }
}

/** Counts the body of a request that nobody reads before its channel is open. */
async function holding<T>(
  opening: Promise<T>,
  request: NodeRequest,
  response: NodeResponse,
  held: ListenerCallInit["held"],
  endHeld: Holder["endHeld"],
): Promise<T> {
  if (held === undefined) return opening;
  const { heldBytes, caller } = held;
  const release = heldBytes.add({
    caller,
    get heldBytes() {
      return waitingBytes(request, response);
    },
    passedBytes: 0,
    endHeld,
  });
  try {
    return await opening;
  } finally {
    release();
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
