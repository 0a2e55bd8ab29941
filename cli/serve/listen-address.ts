import { parsePort, UsageError } from "../command/command.js";

/** The address that a server listens at. */
export interface ListenAddress {
  host: string;
  port: number;
}

/**
 * "HOST:PORT", "[IPV6]:PORT" or "PORT", which is for this machine alone. Throws a `UsageError`, which calls it `what`.
 */
export function parseListenAddress(text: string, what: string): ListenAddress {
  const [, ipv6, name, digits = text] = /^(?:\[(.+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  if (!/^\d+$/.test(digits)) throw new UsageError(`${what} takes HOST:PORT or PORT, not ${JSON.stringify(text)}`);
  return { host: ipv6 ?? name ?? "127.0.0.1", port: parsePort(digits, what) };
}

/** The address as part of a URL. */
export function authorityOf({ host, port }: ListenAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
