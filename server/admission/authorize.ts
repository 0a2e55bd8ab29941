import type { Caller } from "./caller.js";

/** What a caller asks for. */
export interface AuthorizeRequest {
  /** `list` is for the names that begin with `name`, once or as they come and go. */
  readonly action: "listen" | "connect" | "list";
  readonly name: string;
  /** The access token that came with the call or with its link. Empty if none did. Verified by nobody yet. */
  readonly token: string;
  readonly caller: Caller;
  /** For `connect`, the metadata that the client gave, which proves nothing by itself. Otherwise empty. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** What the relay may take for true about a caller that it lets in. */
export interface Grant {
  /** For `connect`: metadata for the listener, in place of what the client gave under the same keys. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Who the caller is, such as the `sub` of a token. Limits for an identity count by it. */
  readonly subject?: string | undefined;
  /** A name for people. */
  readonly name?: string | undefined;
  /** More facts for the listener. */
  readonly meta?: Readonly<Record<string, string>> | undefined;
  /** For `list`: whether a name is shown. Default: each name that is listed. */
  readonly shows?: ((name: string) => boolean) | undefined;
  /** When the token that proved it was made, in milliseconds since 1970. Default: before every revocation. */
  readonly issuedAtMs?: number | undefined;
  /** The end of the grant, in milliseconds since 1970. */
  readonly expiresAtMs?: number | undefined;
  /** Whether the end of the grant also ends what was opened by it. */
  readonly cut?: boolean | undefined;
  /** The id of the token that proved it, such as its `jti`. */
  readonly tokenId?: string | undefined;
}

/** Grants a request, or refuses it by throwing or rejecting with a `StreamError`, whose code and reason the caller is told. */
export type Authorize = (request: AuthorizeRequest) => Grant | Promise<Grant>;
