import {
  Code,
  type ContextKey,
  type ContextValues,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import { fromConnectError } from "../../stream/failure-detail.js";
import type { NodeRequest } from "../http/node-server.js";

/**
 * The Origin of the request that opened a link, for the RPCs on its channels. The headers of those RPCs are written by
 * scripts, which may claim any origin.
 */
export const linkOriginKey: ContextKey<string | undefined> = createContextKey<string | undefined>(undefined, {
  description: "origin of the link",
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

/** The Origin header of the caller's request, or empty. */
export function callerOrigin(context: HandlerContext): string {
  return context.values.get(linkOriginKey) ?? context.requestHeader.get("origin") ?? "";
}

/**
 * Returns whether the caller cancelled the call that was aborted, rather than that its connection broke. Node closes
 * the calls of a broken HTTP/2 connection with the code of a cancelled one.
 */
export function callerCanceled({ signal, values }: HandlerContext): boolean {
  return fromConnectError(signal.reason).code === Code.Canceled && !values.get(isConnectionLostKey)();
}
