import { Code } from "@connectrpc/connect";
import { Hop } from "../../gen/streamserver/v1/failure_pb.js";
import { StreamError } from "../../stream/error/stream-error.js";

/** The address of a relay, and the proof of who calls that came with it. */
export interface RelayUrl {
  /** The URL below which the RPCs are, without user and password, so that error messages may show it. */
  readonly href: string;
  /** As the URL has them: escaped, or empty. */
  readonly username: string;
  readonly password: string;
}

/**
 * Reads the URL of a relay, which in a page may be relative to the page, and adds a prefix to its path. Throws a
 * `StreamError` with `invalid_argument` for anything that it would have to ignore: another scheme than HTTP's, a
 * fragment, a query unless it is to be kept, and a user with a colon. No message repeats a password.
 */
export function relayUrl(base: string | URL, prefix = "", query: "refused" | "kept" = "refused"): RelayUrl {
  const url = parse(textOf(base));
  const { protocol, username, password, search, hash } = url;
  if (!/^https?:$/.test(protocol)) {
    throw refusedUrlError(`the URL of a relay begins with "http:" or "https:", not with "${protocol}"`);
  }
  if (hash !== "") throw refusedUrlError('the URL of a relay has no fragment: leave out the "#" and what follows it');
  if (search !== "" && query === "refused") {
    throw refusedUrlError('the URL of a relay has no query: leave out the "?" and what follows it');
  }
  // Basic credentials have one before the password: what follows it would be read as the password.
  if (/%3a/i.test(username)) throw refusedUrlError("the user in the URL of a relay has no colon");
  // The setter escapes what a URL would take for the beginning of a query.
  url.pathname = `${url.pathname}/${prefix}`.replace(/\/+/g, "/");
  return {
    href: `${url.origin}${url.pathname.replace(/\/$/, "")}${search}`,
    username,
    password,
  };
}

/** Throws `invalid_argument` for a URL with a user or a password: a page can send neither with a WebSocket. */
export function refuseCredentials({ href, username, password }: RelayUrl): void {
  if (username + password === "") return;
  throw refusedUrlError(
    `a page cannot send the user and the password in the URL of a relay: leave them out of ${href}`,
  );
}

/** A URL may be of another realm, whose class is another. In a page "null" and "8080" would be relative URLs. */
function textOf(base: unknown): string {
  const text = typeof base === "object" ? (base as URL | null)?.href : base;
  if (typeof text === "string") return text;
  throw refusedUrlError("a relay is given by its URL, as a string or as a URL, or by a Connect transport");
}

function parse(base: string): URL {
  try {
    return new URL(base, pageUrl());
  } catch {
    // A password may contain anything, so nothing before the last "@" is shown.
    throw refusedUrlError(
      `${JSON.stringify(base.replace(/^.*@/s, "…@"))} is no URL of a relay, such as http://localhost:8080`,
    );
  }
}

/** The page's own URL, without the parts that a relative URL could inherit and that a relay's URL may not have. */
function pageUrl(): URL | undefined {
  const href = globalThis.location?.href;
  if (href === undefined) return undefined;
  const url = new URL(href);
  url.search = url.hash = url.username = url.password = "";
  return url;
}

function refusedUrlError(message: string): StreamError {
  return new StreamError(message, { code: Code.InvalidArgument, hop: Hop.CALLER });
}
