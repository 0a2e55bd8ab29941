import { create } from "@bufbuild/protobuf";
import {
  Code,
  type ContextKey,
  type ContextValues,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import { type Caller, CallerSchema } from "../../gen/streamserver/v1/relay_pb.js";
import { fromConnectError } from "../../stream/error/failure-detail.js";
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
 * Returns whether the caller cancelled the call that was aborted, rather than that its connection broke. Node closes
 * the calls of a broken HTTP/2 connection with the code of a cancelled one.
 */
export function callerCanceled({ signal, values }: HandlerContext): boolean {
  return fromConnectError(signal.reason).code === Code.Canceled && !values.get(isConnectionLostKey)();
}
