/** The cookie of a visitor who came by a link, and the one of a browser that was told where it goes. */
export type VisitCookie = "relay-visit" | "relay-seen";

const cookieName = /^(__Host-|__Secure-)?relay-(visit|seen)$/;

export interface CookieInit {
  /** The path of the name's root, with a slash at its end. */
  root: string;
  isEncrypted: boolean;
  maxAgeSeconds: number;
}

/**
 * Returns the header that sets a cookie for one name. No script reads it, no other host gets it, and no other site's
 * page sends it but by a link. A browser takes "__Host-" for a whole host alone, from the host itself, and over TLS.
 */
export function setCookie(
  cookie: VisitCookie,
  value: string,
  { root, isEncrypted, maxAgeSeconds }: CookieInit,
): string {
  const prefix = isEncrypted ? prefixAt(root === "/") : "";
  const secure = isEncrypted ? "; Secure" : "";
  // What follows a semicolon in the path would be taken for attributes of the cookie.
  const path = root.replaceAll(";", "%3B");
  return `${prefix}${cookie}=${value}; Path=${path}; Max-Age=${maxAgeSeconds}; HttpOnly; SameSite=Lax${secure}`;
}

export interface CookiePlace {
  /** Whether names are in hosts. */
  isByHost: boolean;
  /** Whether the browser is known to speak TLS. A proxy that nobody trusts may have ended it. */
  isEncrypted: boolean;
}

/**
 * Returns the value of a cookie in the header of a request. With TLS the gateway has set it with a prefix, and any
 * other may be of a page of another name, whose scripts can set cookies for all hosts below the same one.
 */
export function cookieIn(
  header: string | undefined,
  cookie: VisitCookie,
  { isByHost, isEncrypted }: CookiePlace,
): string | undefined {
  const values = new Map(pairs(header).map((pair) => [nameIn(pair), pair.slice(pair.indexOf("=") + 1)]));
  const value = values.get(prefixAt(isByHost) + cookie);
  return isEncrypted ? value : (value ?? values.get(cookie));
}

function prefixAt(isWholeHost: boolean): "__Host-" | "__Secure-" {
  return isWholeHost ? "__Host-" : "__Secure-";
}

/** Returns the header without the gateway's own cookies. Empty if there is no other. */
export function withoutVisitCookies(header: string): string {
  if (!header.includes("relay-")) return header;
  return pairs(header)
    .filter((pair) => !cookieName.test(nameIn(pair)))
    .join("; ");
}

function pairs(header = ""): string[] {
  return header.split(";").map((pair) => pair.trim());
}

function nameIn(pair: string): string {
  return (pair.split("=", 1)[0] ?? "").trim();
}
