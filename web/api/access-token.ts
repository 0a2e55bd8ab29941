import { Code } from "@connectrpc/connect";
import { Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { messageOf, StreamError } from "../../stream/error/stream-error.js";
import type { Clock } from "../../stream/platform/clock.js";
import { Deferred } from "../../stream/platform/deferred.js";

/** An access token, or a function that is asked for one each time that it is needed. */
export type AccessToken = string | (() => string | Promise<string>);

/** A function has this long to answer, as long as a relay has. */
const tokenTimeoutMs = 10_000;

/**
 * Resolves with the token that the function gives. Rejects with `unauthenticated` of HOP_CALLER if it fails, gives no
 * string, or takes more than 10 s.
 */
export async function askForToken(ask: () => string | Promise<string>, clock: Clock): Promise<string> {
  const late = new Deferred<never>();
  // A function that is at work keeps a process alive by itself, if it is to.
  const cancelDeadline = clock.after(tokenTimeoutMs, () => late.reject("it took too long"), false);
  try {
    const token: unknown = await Promise.race([ask(), late.promise]);
    if (typeof token === "string") return token;
    throw "it is no string";
  } catch (cause) {
    const message = `there is no access token: ${messageOf(cause)}`;
    throw new StreamError(message, { code: Code.Unauthenticated, hop: Hop.CALLER, cause });
  } finally {
    cancelDeadline();
  }
}
