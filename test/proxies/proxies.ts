import { startCaddy } from "./caddy.js";
import { startHaproxy } from "./haproxy.js";
import { startNginx } from "./nginx.js";
import type { RunningProxy } from "./start-proxy.js";
import { type WayThrough, ways } from "./ways.js";

/** A program that docs/deploy.md has a configuration for. */
export interface Proxy {
  /** Starts it in front of the relay at an origin. */
  start(relayOrigin: string): Promise<RunningProxy>;
  /** The ways that docs/deploy.md says it lets through. */
  ways: Record<string, WayThrough>;
}

const links = Object.fromEntries(Object.entries(ways).filter(([, { kind }]) => kind !== "native"));

export const proxies: Record<string, Proxy> = {
  nginx: { start: (relayOrigin) => startNginx({ relayOrigin, variant: "documented" }), ways },
  Caddy: { start: startCaddy, ways },
  HAProxy: { start: startHaproxy, ways: links },
};
