import { create } from "@bufbuild/protobuf";
import {
  Code,
  type ContextKey,
  type ContextValues,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import { Failure } from "../../gen/streamserver/v1/failure_pb.js";
import { type Caller, CallerSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { fromConnectError } from "../../stream/error/failure-detail.js";
import type { StreamError } from "../../stream/error/stream-error.js";
import type { NodeRequest } from "../http/node-server.js";

/**
 * The caller that opened a link, for the RPCs on its channels. The headers of those RPCs are written by scripts, which
 * may claim any origin.
 */
export const linkCallerKey: ContextKey<Caller | undefined> = createContextKey<Caller | undefined>(undefined, {
  description: "caller of the link",
});

const isConnectionLostKey: ContextKey<() => boolean> = createContextKey(() => false, {
  description: "whether the caller's connection is lost",
});

const expectEndKey: ContextKey<() => void> = createContextKey(() => {}, {
  description: "expects the response to be read to its end",
});

/** Values for the RPC of a request: whether its connection is lost, and how to expect the end of its response. */
export function callerValues(request: NodeRequest, expectEnd: () => void): ContextValues {
  const session = "stream" in request ? request.stream.session : undefined;
  return createContextValues()
    .set(isConnectionLostKey, () => session?.destroyed ?? false)
    .set(expectEndKey, expectEnd);
}

/** Marks the call as over. Its response is destroyed after 5 s unless the caller has read it to the end. */
export function expectEnd({ values }: HandlerContext): void {
  values.get(expectEndKey)();
}

/** Creates the facts about the caller of a request from its Origin header. */
export function callerFrom(origin: string | null | undefined): Caller {
  return create(CallerSchema, { origin: origin ?? "" });
}

/** The caller of an RPC, which on a channel is the one that opened the link. */
export function callerOf({ values, requestHeader }: HandlerContext): Caller {
  return values.get(linkCallerKey) ?? callerFrom(requestHeader.get("origin"));
}

/**
 * The end of a call before its response had ended.
 *
 * - `canceled`: the caller cancelled it.
 * - `left`: the caller ended its link with a goodbye, as a page does that is left.
 * - `broken`: the connection broke, or the relay ended it.
 */
export type CallEnd = "canceled" | "left" | "broken";

/** Returns the end that an error of a channel or a signal means. A goodbye is `canceled` with FAILURE_LEG_LOST. */
export function callEnd({ code, failure }: StreamError): CallEnd {
  if (code !== Code.Canceled) return "broken";
  return failure === Failure.LEG_LOST ? "left" : "canceled";
}

/**
 * Returns the end of the call that was aborted. Node closes the calls of a broken HTTP/2 connection with the code of a
 * cancelled one.
 */
export function callEndOf({ signal, values }: HandlerContext): CallEnd {
  return values.get(isConnectionLostKey)() ? "broken" : callEnd(fromConnectError(signal.reason));
}
