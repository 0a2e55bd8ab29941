import { Code, ConnectError } from "@connectrpc/connect";
import { Failure } from "../../../gen/streamserver/v1/failure_pb.js";
import { fromConnectError } from "../../../stream/error/failure-detail.js";
import { cutReason, StreamError } from "../../../stream/error/stream-error.js";
import { isThenable } from "../../../stream/platform/deferred.js";
import type { Caller, Claims } from "../caller.js";

/** The longest access token. Node takes 16 KiB of headers, and a token may be one of them. */
export const maxAccessTokenBytes = 8_192;

/** A request of a caller to be let in. */
export interface AuthorizeRequest {
  /** `list` is for the names that begin with `name`, once or as they come and go. */
  readonly action: "listen" | "connect" | "list";
  readonly name: string;
  /**
   * The access token that came with the call or with its link, of at most 8 KiB. Empty if none did. Verified by nobody
   * yet.
   */
  readonly token: string;
  readonly caller: Caller;
  /** For `connect`, the metadata that the client gave, which proves nothing by itself. Otherwise empty. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The facts about a caller that the relay may take for true once it lets the caller in. */
export interface Grant {
  /** For `connect`: metadata for the listener, in place of what the client gave under the same keys. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** The identity of the caller, such as the `sub` of a token. */
  readonly subject?: string | undefined;
  /** A name of the caller for people. */
  readonly name?: string | undefined;
  /** More facts for the listener. */
  readonly meta?: Readonly<Record<string, string>> | undefined;
  /**
   * For `list`: whether a name is shown, at once. A name for which it throws, or returns anything but true, is not
   * shown. Default: each name that is listed.
   */
  readonly shows?: ((name: string) => boolean) | undefined;
  /**
   * When the token that proved it was made, in milliseconds since 1970, for `revoke`. Default: when it was asked for,
   * so that what is live is revoked, and the next request is this function's to decide.
   */
  readonly issuedAtMs?: number | undefined;
  /** The end of the grant, in milliseconds since 1970. */
  readonly expiresAtMs?: number | undefined;
  /** Whether the end of the grant also ends everything that was opened by it. */
  readonly cut?: boolean | undefined;
  /** The id of the token that proved it, such as its `jti`. */
  readonly tokenId?: string | undefined;
}

/**
 * Grants a request, or refuses it: by throwing, or rejecting with, a `StreamError`, whose code and message the caller
 * is told. Any other error, and a value that is no object, refuse it as well, and are told to the operator as a
 * warning.
 *
 * @example
 * StreamServerProxy({
 *   authorize({ action, name, token }) {
 *     const user = users.get(token);
 *     if (user === undefined) throw new StreamError("who are you?", { code: Code.Unauthenticated });
 *     if (action === "listen" && name !== user.id) throw new StreamError("not your name");
 *     return { subject: user.id };
 *   },
 * });
 */
export type Authorize = (request: AuthorizeRequest) => Grant | Promise<Grant>;

/** A call of `AdminService`, which shows all that a relay holds, and ends it. */
export interface AdminRequest {
  readonly action: "admin";
  /** The access token that came with the call, of at most 8 KiB. Empty if none did. Verified by nobody yet. */
  readonly token: string;
  readonly caller: Caller;
}

/** Grants a call of `AdminService`, or refuses it, as {@link Authorize} does. */
export type AuthorizeAdmin = (request: AdminRequest) => Grant | Promise<Grant>;

/** A caller that was let in, with what is verified about it. */
export interface Admitted {
  caller: Caller;
  /** The metadata that its peer hears. */
  metadata: Readonly<Record<string, string>>;
  /** Whether the caller is shown a name that is listed. Undefined: it is shown each. */
  shows?: ((name: string) => boolean) | undefined;
}

/**
 * Returns a caller with the facts of its grant. Throws a TypeError for a value that is no grant, and a RangeError for
 * one whose facts take more than `maxBytes`, because each offer carries them to the listener. The function `shows` of
 * the result never throws: it tells `onShowsFailed` of a mistake in that of the grant.
 */
export function admittedBy(
  grant: unknown,
  { caller, metadata, askedAtMs }: Pick<AuthorizeRequest, "caller" | "metadata"> & { askedAtMs: number },
  maxBytes: number,
  onShowsFailed: (error: unknown) => void,
): Admitted {
  if (typeof grant !== "object" || grant === null)
    throw new TypeError(`authorize returned ${grant}, which is no grant`);
  const {
    metadata: added = {},
    shows,
    subject = "",
    name = "",
    meta = {},
    issuedAtMs = askedAtMs,
    expiresAtMs,
    cut = false,
    tokenId = "",
  }: Grant = grant;
  const texts = [subject, name, tokenId, ...Object.values(added), ...Object.entries(meta).flat()];
  if (texts.some((text) => typeof text !== "string") || typeof meta !== "object" || typeof added !== "object") {
    throw new TypeError("subject, name and tokenId of a grant are strings, meta and metadata objects of strings");
  }
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  if (bytes > maxBytes) throw new RangeError(`the facts of a grant take ${bytes} bytes, more than ${maxBytes}`);
  if ([issuedAtMs, expiresAtMs].some((ms) => ms !== undefined && !Number.isFinite(ms))) {
    throw new TypeError("issuedAtMs and expiresAtMs of a grant are numbers of milliseconds");
  }
  if (shows !== undefined && typeof shows !== "function") throw new TypeError("shows of a grant is a function");
  const claims: Claims = { subject, name, meta, issuedAtMs, expiresAtMs, cut: cut === true, tokenId };
  return {
    caller: { ...caller, claims },
    metadata: { ...metadata, ...added },
    shows: shows && guarded(shows, onShowsFailed),
  };
}

/** Returns a filter of names that hides those for which `shows` throws or returns no boolean. */
function guarded(shows: (name: string) => unknown, onFailed: (error: unknown) => void): (name: string) => boolean {
  return (name) => {
    try {
      const isShown = shows(name);
      if (typeof isShown === "boolean") return isShown;
      // A promise that nobody waits for ends the process when it rejects.
      if (isThenable(isShown)) isShown.then(undefined, () => {});
      throw new TypeError(`shows of a grant returns true or false at once, not a value of type ${typeof isShown}`);
    } catch (error) {
      onFailed(error);
      return false;
    }
  };
}

/**
 * Returns the refusal in an error of `authorize`. Returns undefined for an error that is none, as that of a mistake.
 */
export function refusalIn(reason: unknown): StreamError | undefined {
  if (!(reason instanceof StreamError || reason instanceof ConnectError)) return undefined;
  const { code, failure, hop, message } = fromConnectError(reason);
  if (failure !== Failure.UNSPECIFIED) return new StreamError(cutReason(message), { failure, code, hop });
  const stated = code === Code.Unknown ? undefined : code;
  return new StreamError(cutReason(message), { failure: Failure.NOT_PERMITTED, code: stated });
}
