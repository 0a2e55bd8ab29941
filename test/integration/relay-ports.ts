import { readFileSync } from "node:fs";
import {
  type RelayServer,
  StreamServerProxy,
  type StreamServerProxyOptions,
  serveRelay,
} from "browser-stream-server/server";
import { until } from "./until.js";

/** A relay in this process, on a port that was free. */
export interface TestRelay {
  proxy: StreamServerProxy;
  /** The origin of the relay, with "https:" if it speaks TLS. */
  origin: string;
  /** The URL under which the RPCs are. */
  url: string;
  close(): Promise<void>;
}

export async function openRelay(
  options: StreamServerProxyOptions & { tls?: { cert: string; key: string } } = {},
): Promise<TestRelay> {
  const { tls, ...proxyOptions } = options;
  const proxy = StreamServerProxy(proxyOptions);
  const server: RelayServer = await serveRelay({ proxy, port: 0, host: "127.0.0.1", tls });
  const origin = `${tls === undefined ? "http" : "https"}://127.0.0.1:${server.port}`;
  return { proxy, origin, url: origin + proxy.prefixes[0], close: () => server.close() };
}

/**
 * A key and a certificate for 127.0.0.1 that nobody trusts, kept in the repository so that making them takes no
 * program.
 */
export function selfSigned(): { cert: string; key: string } {
  const read = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url), "utf8");
  return { cert: read("cert"), key: read("key") };
}

/** Resolves when the relay holds nothing any more, or nothing but links, which wait a while for their next channel. */
export async function holdsNothing({ proxy }: TestRelay, but?: "links"): Promise<void> {
  const isEmpty = () => Object.entries(proxy.counts).every(([kind, count]) => count === 0 || kind === but);
  await until(isEmpty, () => `the relay still holds ${JSON.stringify(proxy.counts)}`);
}

/** Resolves when the relay has so many links. */
export async function untilLinks({ proxy }: TestRelay, links: number): Promise<void> {
  await until(
    () => proxy.counts.links === links,
    () => `the relay holds ${JSON.stringify(proxy.counts)}`,
  );
}
