import { maxPort, UsageError } from "../command/command.js";

/** A local HTTP server that callers are to reach. */
export interface HttpTarget {
  /** For a socket: a name, or an address without brackets. */
  host: string;
  port: number;
  /** The header Host of requests to it. */
  authority: string;
}

/** "HOST:PORT", "[IPV6]:PORT", "PORT" or a URL of `http` without a path. Throws a `UsageError`. */
export function parseHttpTarget(text: string): HttpTarget {
  const given = /^\d+$/.test(text) ? `localhost:${text}` : text;
  const spelled = given.includes("://") ? given : `http://${given}`;
  const url = URL.canParse(spelled) ? new URL(spelled) : undefined;
  const isWhole = url?.protocol === "http:" && url.href === `http://${url.host}/` && url.hostname !== "";
  const port = Number(url?.port || 80);
  if (url === undefined || !isWhole || port < 1 || port > maxPort) {
    throw new UsageError(`--http takes HOST:PORT, and not ${JSON.stringify(text)}: the server speaks HTTP without TLS`);
  }
  return { host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port, authority: url.host };
}
