import { isIPv6 } from "node:net";

/** Host names without a port, such as "relay.example.com" or "::1", or "*" for any. */
export type Hosts = readonly string[] | "*";

/**
 * Returns the names as `URL.hostname` has them, which is how {@link hostNameOf} returns the name of a request. Throws a
 * RangeError for a name with a scheme, a port, a path or a wildcard, which no Host header would ever match, and for an
 * empty list, which no page could ever use.
 */
export function checkedHosts(hosts: unknown): Hosts {
  if (hosts === "*") return hosts;
  const names: unknown[] = Array.isArray(hosts) ? hosts : [hosts];
  const wrong = names.filter((name) => urlHostName(name) === undefined);
  if (wrong.length === 0 && names.length > 0 && Array.isArray(hosts))
    return names.map((name) => urlHostName(name) ?? "");
  const what = wrong.length > 0 ? wrong.map((name) => JSON.stringify(name)).join(", ") : JSON.stringify(hosts);
  throw new RangeError(`hosts are "*" or a list of names without a port, such as ["relay.example.com"], not ${what}`);
}

/** Returns the host name of a Host header, without its port. Returns undefined for a header that is none. */
export function hostNameOf(host: string | undefined): string | undefined {
  // A header with a user, a path or a query names no host, though a URL with it in place of a host has one.
  if (host === undefined || /[/\\?#@\s]/.test(host) || !URL.canParse(`http://${host}`)) return undefined;
  return new URL(`http://${host}`).hostname;
}

function urlHostName(name: unknown): string | undefined {
  if (typeof name !== "string" || name.includes("*")) return undefined;
  if (isIPv6(name)) return hostNameOf(`[${name}]`);
  const hasPort = /:\d*$/.test(name);
  return hasPort ? undefined : hostNameOf(name);
}
