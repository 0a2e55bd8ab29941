import { type ContextKey, createContextKey, type HandlerContext } from "@connectrpc/connect";

/** The Origin of the request that opened a link, for the RPCs on its channels, which have none of their own. */
export const linkOriginKey: ContextKey<string> = createContextKey("", { description: "origin of the link" });

/** The Origin header of whoever calls, or empty. */
export function callerOrigin(context: HandlerContext): string {
  return context.requestHeader.get("origin") ?? context.values.get(linkOriginKey);
}
