import type { RelayUrl } from "../transport/relay-url.js";

/** The headers that send the user and the password of a URL, in UTF-8. RFC 7617. */
export function basicCredentials({ username, password }: RelayUrl): { authorization?: string } {
  if (username + password === "") return {};
  const credentials = `${decode(username)}:${decode(password)}`;
  return { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` };
}

/** A URL has its special characters escaped, but may also hold a "%" that escapes nothing. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
