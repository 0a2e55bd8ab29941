import type { Caller } from "../../stream/stream.js";
import type { RequestHead } from "./head.js";

/**
 * Sets Forwarded and X-Forwarded-* to what the relay has verified about the caller, in place of what the caller itself
 * has written there, which proves nothing.
 *
 * - "for" is the subject of the caller, where it can stand there as a name, and otherwise unknown. RFC 7239, section 6.
 * - "host" and "proto" are those of the request's URL, whose host has no backslash.
 * - The relay's gateway has dropped what its caller wrote, and set X-Forwarded-Prefix: the part of the public path that
 *   it has taken away.
 */
export function setForwarded({ headers, authority, scheme }: RequestHead, caller: Caller | undefined): void {
  const { subject = "", viaGateway } = caller ?? {};
  // CGI and what descends from it take an underscore for a hyphen.
  if (!viaGateway) for (const name of [...headers.keys()]) if (/^x[-_]forwarded[-_]/.test(name)) headers.delete(name);
  const node = /^[\w.-]+$/.test(subject) ? `_${subject}` : "unknown";
  headers.set("forwarded", `for=${node};host="${authority.replaceAll('"', "")}";proto=${scheme}`);
  headers.set("x-forwarded-host", authority);
  headers.set("x-forwarded-proto", scheme);
}
